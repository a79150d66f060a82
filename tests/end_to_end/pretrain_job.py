"""Runs `jobs/pretrain.py` as its user does, on small settings, and reads what it left."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600
FIRST_CHECKPOINT = 20
SMALL = {
    "task.clips.num-frames-per-clip": 4,
    "task.view.crop-size": 32,
    "task.queue-size": 16,
    "training.num-epochs": 40,
    "training.global-batch-size": 8,
    "training.checkpoint-every-num-steps": FIRST_CHECKPOINT,
    "training.log-every-num-steps": 1,
    "evaluation.num-random-encoders": 1,
}
WITHOUT_REPORT = ("--run.no-report",)
NUM_STEPS = 120
"""40 epochs of 24 videos in batches of 8."""


@dataclass(frozen=True, kw_only=True)
class PretrainJob:
    """One run by name, in a folder of its own."""

    folder: Path
    dataset: str
    name: str = "run"
    recipe: str = "tiny_cpu"
    settings: Mapping[str, object] = field(default_factory=lambda: SMALL)
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its environment has beside this process's."""
    switches: tuple[str, ...] = (*WITHOUT_REPORT, "--validation.protocol", "none")
    """Short runs go without what takes longer than they do, where a test is not about it."""

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / self.name

    @property
    def database(self) -> Path:
        return self.folder / "mlflow.db"

    def command(self, **changes: object) -> list[str]:
        values = {
            "data.shards": self.dataset,
            "run.name": self.name,
            "run.storage": self.folder / "runs",
            "tracking.uri": f"sqlite:///{self.database}",
        }
        values |= {**self.settings} | {key.replace("__", "."): value for key, value in changes.items()}
        flags = [text for key, value in values.items() for text in (f"--{key}", str(value))]
        return [sys.executable, str(ROOT / "jobs" / "pretrain.py"), self.recipe, *flags, *self.switches]

    def run(self, **changes: object) -> subprocess.CompletedProcess:
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.run(
            self.command(**changes),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            cwd=self.folder,
            env=os.environ | self.environment,
        )

    def result(self, **changes: object) -> dict:
        """The job's JSON; fails with what it said."""
        done = self.run(**changes)
        assert done.returncode == 0, done.stderr[-6000:]
        return json.loads(done.stdout.splitlines()[-1])

    def start(self, **changes: object) -> subprocess.Popen:
        """In a process group of its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "stdout.txt", "w") as out, open(self.folder / "stderr.txt", "w") as err:
            return subprocess.Popen(
                self.command(**changes),
                stdout=out,
                stderr=err,
                cwd=self.folder,
                start_new_session=True,
                env=os.environ | self.environment,
            )

    def printed(self) -> dict:
        """The JSON of a job that was started and has ended."""
        return json.loads((self.folder / "stdout.txt").read_text().splitlines()[-1])

    def has_checkpoint(self) -> bool:
        snapshot = self.run_folder / "checkpoint_manager_snapshot.json"
        return snapshot.exists() and "checkpoint_" in snapshot.read_text()

    def stage(self) -> str:
        return json.loads((self.run_folder / "run.json").read_text())["stage"]

    def losses(self) -> dict[int, float]:
        """By step, as MLflow has them. Fails where one step has two values: a resumed step must repeat its loss."""
        with sqlite3.connect(self.database) as database:
            rows = database.execute("select step, value from metrics where key = 'train/loss' order by step").fetchall()
        losses: dict[int, float] = {}
        for step, value in rows:
            assert losses.setdefault(step, value) == value, f"step {step}: {losses[step]} and {value}"
        return losses

    def num_logged_losses(self) -> int:
        """More than there are steps, where one was logged twice."""
        with sqlite3.connect(self.database) as database:
            return database.execute("select count(*) from metrics where key = 'train/loss'").fetchone()[0]

    def num_checkpoints_saved(self) -> int:
        """Of the whole run, those that were deleted again included."""
        return json.loads((self.run_folder / "checkpoint_manager_snapshot.json").read_text())["current_report_index"]


def own_lines(stderr: str) -> list[str]:
    """What the job itself said, without what Ray forwards from other processes: `(Name pid=1) ...`."""
    return [line for line in stderr.splitlines() if not re.match(r"(\x1b\[\d+m)?\(\w+ pid=", line)]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, f"the job ended with {process.returncode}"
        assert time.monotonic() < deadline, "the job took too long"
        time.sleep(0.01)


def kill_group(process: subprocess.Popen) -> None:
    """SIGKILL to the job and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
