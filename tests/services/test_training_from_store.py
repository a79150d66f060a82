"""Pretraining from shards on a real S3, with checkpoints on it: the store killed, gone for good, and closed to us."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rspnet_platform import object_store, storage
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.packet_reader import read_frames
from rspnet_platform.shards.row_groups import read_videos

from tests.end_to_end.pretrain_job import ROOT, WITHOUT_REPORT, PretrainJob, kill_group, own_lines, wait_until
from tests.services.conftest import make_bucket
from tests.services.swift_store import STRANGER, SwiftStore

SHARD = "shard-00000.parquet"
LONG = {"training__num_epochs": 60, "run__max_failures": 1, "scaling__num_workers": 1}
NUM_SAMPLES = 60 * 24
JOB_TIMEOUT_SECONDS = 600
INGEST_OPTIONS = ("--short-side", "64", "--max-refused-fraction", "0.5")

pytestmark = pytest.mark.slow


def upload(dataset: ShardedDataset, bucket: str) -> str:
    uri = f"{bucket}/dataset"
    for path in sorted(Path(dataset.uri).iterdir()):
        if path.is_file():
            storage.upload_file(str(path), f"{uri}/{path.name}")
    return uri


def s3_job(store: SwiftStore, dataset: ShardedDataset, folder: Path, **user) -> tuple[PretrainJob, str]:
    """The job, and where its runs go."""
    bucket = make_bucket()
    job = PretrainJob(folder=folder, dataset=upload(dataset, bucket), environment=store.environment(**user))
    return job, f"{bucket}/runs"


def test_a_run_lives_on_the_store_alone(shared_store, as_owner, small_dataset, tmp_path) -> None:
    """Shards read from s3://, checkpoints, their validation and the damage list written to it; a second command finds
    the run finished."""
    as_owner(shared_store)
    job, runs = s3_job(shared_store, small_dataset, tmp_path)
    job = replace(job, switches=WITHOUT_REPORT)
    result = job.result(run__storage=runs, training__num_epochs=10)
    assert result["num_samples"] == 10 * 24
    assert result["num_damaged_videos"] == 0
    assert "run.json" in storage.list_names(f"{runs}/run")
    assert result["best_checkpoint"].startswith(f"{runs}/run/checkpoint_")
    assert result["validation"]["num_failed"] == 0
    assert not (tmp_path / "runs").exists()
    again = job.run(run__storage=runs, training__num_epochs=10)
    assert again.returncode == 1
    assert f"the run {runs}/run has finished" in again.stderr


def test_a_store_that_is_started_again(store, as_owner, small_dataset, tmp_path) -> None:
    """Killed during an epoch and back after some seconds: the run waits, goes on by itself, and has had every video of
    every epoch once."""
    as_owner(store)
    job, runs = s3_job(store, small_dataset, tmp_path)
    with running(job, run__storage=runs, **LONG) as process:
        wait_until(lambda: num_logged_steps(job) >= 5, process)
        store.kill()
        threading.Timer(8, store.start).start()
        assert process.wait(timeout=JOB_TIMEOUT_SECONDS) == 0, stderr(job)[-4000:]
    assert f"/dataset/{SHARD} (" in stderr(job)
    assert "trying for" in stderr(job)
    result = job.printed()
    assert result["num_samples"] == NUM_SAMPLES
    assert result["num_damaged_videos"] == 0
    assert sorted(job.losses()) == list(range(1, NUM_SAMPLES // 8 + 1))


def test_a_store_that_stays_away(store, as_owner, small_dataset, tmp_path) -> None:
    """One error, which names what could not be read and how often it was tried, from a worker of Ray Train and from the
    job's own process; the run counts as failed, and the same command goes on once the store is back."""
    as_owner(store)
    job, runs = s3_job(store, small_dataset, tmp_path)
    job = replace(job, environment={**job.environment, object_store.RETRYING: "8"})
    for num_workers in (1, 0):
        settings = LONG | {"run__storage": runs, "scaling__num_workers": num_workers}
        num_steps = num_logged_steps(job)
        with running(job, **settings) as process:
            wait_until(lambda: num_logged_steps(job) >= num_steps + 5, process)  # noqa: B023
            store.kill()
            assert process.wait(timeout=JOB_TIMEOUT_SECONDS) == 1
        check_the_one_error(job)
        store.start()
    assert job.result(**settings)["num_samples"] == NUM_SAMPLES


def check_the_one_error(job: PretrainJob) -> None:
    """It is the last line, and the run's failure in MLflow; nothing else tells of the store."""
    [error] = [line for line in own_lines(stderr(job)) if line.startswith("error: ")]
    assert error.startswith("error: cannot ")
    assert "s3://" in error
    assert " times in " in error
    assert own_lines(stderr(job))[-1] == error
    assert not any("Traceback" in line for line in own_lines(stderr(job)))
    assert "StorageError" not in stderr(job)
    assert "going on from" not in stderr(job)
    assert last_run(job) == ("FAILED", error.removeprefix("error: "))


@pytest.mark.parametrize("user", [("test:owner", "not_the_secret"), STRANGER])
def test_a_store_that_is_closed_to_us(shared_store, as_owner, small_dataset, tmp_path, user) -> None:
    """A wrong secret and a user without grants end a pretraining and an ingest with one line, before anything is
    written."""
    as_owner(shared_store)
    job, runs = s3_job(shared_store, small_dataset, tmp_path, user=user)
    pretraining = job.run(run__storage=runs)
    from_local = PretrainJob(folder=tmp_path, dataset=small_dataset.uri, environment=job.environment)
    for done in (
        pretraining,
        from_local.run(run__storage=runs),
        ingest(job, job.dataset, f"{runs}/out"),
        ingest(job, str(Path(small_dataset.uri).with_name("videos")), f"{runs}/out"),
    ):
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        error = done.stderr.splitlines()[-1]
        assert error.startswith("error: cannot ")
        assert "accepted are credentials that allow it" in error
        assert job.dataset.split("/dataset")[0] in error
        assert user[1] not in done.stderr
    assert not list(tmp_path.rglob("mlflow.db"))
    as_owner(shared_store)
    assert storage.list_names(runs) == []


def test_ingest_from_a_store_to_a_store(shared_store, as_owner, video_folder, tmp_path) -> None:
    """Sources on s3:// and output on s3:// make the data set that local folders make; the same command again does
    nothing."""
    as_owner(shared_store)
    bucket = make_bucket()
    for path in video_folder.rglob("*.mp4"):
        storage.upload_file(str(path), f"{bucket}/videos/{path.relative_to(video_folder)}")
    storage.write_bytes(f"{bucket}/videos/up/broken.mp4", b"no video")
    (video_folder / "up" / "broken.mp4").write_bytes(b"no video")
    job = PretrainJob(folder=tmp_path, dataset="", environment=shared_store.environment())
    remote = ingest(job, f"{bucket}/videos", f"{bucket}/out")
    local = ingest(job, str(video_folder), str(tmp_path / "out"))
    for done in (remote, local):
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout.splitlines()[-1])
        assert (result["num_videos"], result["num_refused"]) == (6, 1)
    opened = [open_dataset(uri) for uri in (f"{bucket}/out", str(tmp_path / "out"))]
    assert opened[0].description.manifest_sha256 == opened[1].description.manifest_sha256
    for dataset in opened:
        [video] = read_videos(dataset.uri, SHARD, 0, [3])
        assert len(read_frames(video.data, video.index, range(10))) == 10
    before = storage.list_files_below(f"{bucket}/out")
    assert ingest(job, f"{bucket}/videos", f"{bucket}/out").returncode == 0
    assert storage.list_files_below(f"{bucket}/out") == before


def ingest(job: PretrainJob, source: str, output: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, ROOT / "jobs" / "ingest.py", "--source", source, "--output", output, *INGEST_OPTIONS],
        capture_output=True,
        text=True,
        cwd=job.folder,
        env=os.environ | job.environment,
        timeout=JOB_TIMEOUT_SECONDS,
    )


def stderr(job: PretrainJob) -> str:
    return (job.folder / "stderr.txt").read_text()


@contextlib.contextmanager
def running(job: PretrainJob, **changes: object) -> Iterator[subprocess.Popen]:
    """Nothing of it outlives the block."""
    process = job.start(**changes)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            kill_group(process)


def num_logged_steps(job: PretrainJob) -> int:
    """0 as long as MLflow's tables are not there."""
    with contextlib.suppress(sqlite3.OperationalError):
        return len(job.losses())
    return 0


def last_run(job: PretrainJob) -> tuple[str, str]:
    """Status and reason of failure, as MLflow has them."""
    with sqlite3.connect(job.database) as database:
        [row] = database.execute(
            "select status, value from runs join tags using (run_uuid) where key = 'failure'"
        ).fetchall()
    return row
