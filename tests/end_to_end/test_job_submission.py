"""`ray job submit --working-dir . -- python jobs/pretrain.py`, with no further flag, on a real head node."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.pretrain_job import ROOT, PretrainJob
from tests.ray_nodes import RAY, free_port, stop_node

pytestmark = pytest.mark.slow


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Ray's sockets lie in it, whose names may have 107 characters: pytest's own folders may be longer."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def head_node(short_folder: Path) -> Iterator[dict[str, str]]:
    """A head of two CPUs; yields the environment in which `ray job submit` finds it."""
    folder = short_folder
    dashboard = free_port()
    environment = os.environ | {
        "HOME": str(folder),
        "RAY_AUTH_MODE": "disabled",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    # Node addresses other than 127.0.0.1, which Ray rewrites; a short folder, for the length of socket names; ports
    # that no other Ray of this machine has.
    ports = ("port", "ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
    command = [RAY, "start", "--head", "--block", "--node-ip-address=127.0.0.2", "--num-cpus=2"]
    command += [f"--{name}={free_port()}" for name in (*ports, "metrics-export-port")]
    command += [f"--dashboard-port={dashboard}", f"--temp-dir={folder}/t", "--object-store-memory=300000000"]
    with open(folder / "head.log", "w") as log:
        head = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for_dashboard(environment["RAY_API_SERVER_ADDRESS"], head, folder / "head.log")
        yield environment
    finally:
        stop_node(head)


def wait_for_dashboard(address: str, head: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert head.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/api/version", timeout=2)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError("the head node does not answer")


def submit(entrypoint: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Waits for the head's job agent, which answers a while after the dashboard does."""
    for _ in range(30):
        done = subprocess.run(
            [RAY, "job", "submit", "--working-dir", ".", "--", *entrypoint],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if "No available agent" not in done.stderr:
            return done
        time.sleep(2)
    raise AssertionError("the head node takes no jobs")


def test_a_submitted_job_brings_its_own_code(head_node, small_dataset, tmp_path):
    """The job runs the folder that it was submitted from, in its workers too, whatever is installed."""
    folder = tmp_path / "checkout"
    for part in ("jobs", "platform", "rspnet_core"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    loop = folder / "platform" / "rspnet_platform" / "train" / "loop.py"
    marked = loop.read_text().replace('"train/loss": report.loss,', '"train/loss": report.loss, "train/marked": 1.0,')
    loop.write_text(marked)
    job = PretrainJob(folder=tmp_path / "results", dataset=small_dataset.uri)
    job.folder.mkdir()
    arguments = job.command(training__num_epochs=3, scaling__num_workers=1)[2:]
    done = submit(["python", "jobs/pretrain.py", *arguments], folder, head_node)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    [result] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"run_id"')]
    assert result["num_steps"] == 9
    with sqlite3.connect(job.database) as database:
        [[num_marked]] = database.execute("select count(*) from metrics where key = 'train/marked'").fetchall()
    assert num_marked == 9
