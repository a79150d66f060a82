"""Where a job's time goes: `python tests/benchmarks/job.py [--json FILE] [--beside DIR]`. See README.md beside it."""

import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {"training.num-epochs": 2, "training.log-every-num-steps": 1}
SAID = re.compile(r" *\d+\.\d s  (.+)")


@dataclass(frozen=True, kw_only=True)
class JobTimes:
    """Seconds since the command was given. `said`: when each step of the job was announced, in order."""

    first_step: float
    last_step: float
    exit: float
    said: dict[str, float] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, float]:
        """How long each announced step took, cut at the training's first and last step."""
        times = [("command", 0.0), *self.said.items()]
        times += [("training", self.first_step), ("after the last step", self.last_step), ("leaving", self.exit)]
        times.sort(key=lambda entry: entry[1])
        return {name: end - at for (name, at), (_, end) in pairwise(times)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the numbers go, beside the table on standard output")
    parser.add_argument("--beside", type=Path, help="another checkout, whose job takes turns with this one's")
    parser.add_argument("--num-rounds", type=int, default=3)
    parser.add_argument("--data", help="the data set; the embedded one, rendered beforehand, without it")
    parser.add_argument("flags", nargs="*", help="more of the job's, after --")
    options = parser.parse_args(arguments)
    checkouts = {"this": ROOT} | ({"beside": options.beside.resolve()} if options.beside else {})
    with tempfile.TemporaryDirectory() as home:
        data = [] if options.data is None else ["--data.shards", options.data]
        flags = [*data, *options.flags]
        run_job(ROOT, Path(home), "warm-up", flags)
        rounds: dict[str, list[JobTimes]] = {name: [] for name in checkouts}
        for number in range(options.num_rounds):
            for name in list(checkouts)[:: -1 if number % 2 else 1]:
                rounds[name].append(run_job(checkouts[name], Path(home), f"{name}-{number}", flags))
    print(table(rounds))
    if options.json:
        report = {name: [asdict(each) | {"parts": each.parts} for each in of] for name, of in rounds.items()}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def run_job(checkout: Path, home: Path, name: str, flags: Sequence[str]) -> JobTimes:
    """Two epochs of the tiny recipe, from the command to its exit."""
    settings = [text for key, value in SETTINGS.items() for text in (f"--{key}", str(value))]
    command = [
        sys.executable,
        str(checkout / "jobs" / "pretrain.py"),
        "tiny_cpu",
        "--run.name",
        name,
        *settings,
        *flags,
    ]
    began, said, others = time.time(), {}, []
    environment = os.environ | {"RSPNET_HOME": str(home)}
    with subprocess.Popen(
        command, env=environment, cwd=home, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as job:
        assert job.stderr is not None
        for line in job.stderr:
            others.append(line)
            if match := SAID.fullmatch(line.rstrip("\n")):
                said[match[1]] = time.time() - began
    if job.returncode:
        sys.exit("".join(others[-30:]))
    ended = time.time()
    with sqlite3.connect(home / "mlflow.db") as database:
        [[first, last]] = database.execute(
            "select min(timestamp), max(timestamp) from metrics join runs using (run_uuid) "
            "where key = 'train/loss' and name = ?",
            (name,),
        ).fetchall()
    return JobTimes(first_step=first / 1e3 - began, last_step=last / 1e3 - began, exit=ended - began, said=said)


def table(rounds: dict[str, list[JobTimes]]) -> str:
    """Medians over the rounds."""
    lines = ["| seconds | " + " | ".join(rounds) + " |", "|---" * (len(rounds) + 1) + "|"]
    measures = {
        "command to first step": lambda each: each.first_step,
        "last step to exit": lambda each: each.exit - each.last_step,
        "command to exit": lambda each: each.exit,
    }
    for what, measure in measures.items():
        lines.append(f"| {what} | " + " | ".join(f"{median(map(measure, of)):.1f}" for of in rounds.values()) + " |")
    for part in rounds["this"][0].parts:
        values = [[each.parts[part] for each in of if part in each.parts] for of in rounds.values()]
        lines.append(f"| {part} | " + " | ".join(f"{median(of):.1f}" if of else "" for of in values) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
