"""A sweep whose videos, clips, trials and records are on a real S3."""

import json
import sqlite3

import pytest
from rspnet_platform import storage

from tests.end_to_end.pretrain_job import kill_group
from tests.end_to_end.sweep_job import SweepProcess
from tests.services.conftest import make_bucket
from tests.services.test_training_from_store import upload

JOB_TIMEOUT_SECONDS = 600
SETTINGS = {
    "search": "optimizer.learning_rate=choice:0.05,0.1",
    # Which of two that run at once comes to a rung first, and so whether the other is stopped, is chance.
    "sweep.reduction-factor": 0,
    "sweep.num-repeated": 0,
    "sweep.num-packed-samples": 2,
    "training.num-epochs": 5,
}


def finished(job: SweepProcess) -> dict:
    process = job.start()
    try:
        assert process.wait(timeout=JOB_TIMEOUT_SECONDS) == 0, (job.folder / "stderr.txt").read_text()[-4000:]
    finally:
        if process.poll() is None:
            kill_group(process)
    return job.printed()


@pytest.mark.slow
def test_a_sweep_lives_on_the_store_alone(shared_store, as_owner, small_dataset, tmp_path, empty_database):
    """Nothing of it is on this machine but the tracking database; the same command a second time trains nothing and
    says the same."""
    as_owner(shared_store)
    bucket = make_bucket()
    settings = SETTINGS | {"data.shards": upload(small_dataset, bucket), "sweep.storage": f"{bucket}/sweeps"}
    job = SweepProcess(
        folder=tmp_path, dataset=small_dataset.uri, settings=settings, environment=shared_store.environment()
    )
    job.database.write_bytes(empty_database.read_bytes())
    result = finished(job)
    assert result["trials"] == {"finished": 2}
    assert result["packed_clips"].startswith(f"{bucket}/sweeps/clips-")
    assert storage.list_names(f"{result['packed_clips']}/sample-0001") == ["part-00000.parquet"]
    assert storage.read_json(f"{bucket}/sweeps/rates/trials/0001.json")["state"] == "finished"
    assert result["model_uri"] == "models:/rspnet/1"
    assert not (tmp_path / "sweeps").exists()
    assert json.dumps(finished(job)) == json.dumps(result)
    with sqlite3.connect(job.database) as database:
        assert database.execute("select distinct status from runs").fetchall() == [("FINISHED",)]
        assert database.execute("select count(*) from runs").fetchone() == (4,)
