"""What a run of the same name may have differently."""

import pytest
from rspnet_platform.train.run_record import RunRecord, Stage

CONFIG = {
    "task.temperature": 0.07,
    "scaling.num_workers": "2",
    "data.shards": "/a",
    "validation.fraction": 0.1,
    "validation.num_clips": 1,
}


def record(stage: Stage = "training") -> RunRecord:
    return RunRecord(stage=stage, mlflow_run_id="id", dataset_sha256="d1", config=CONFIG)


def check(record: RunRecord, sha256: str = "d1", **changes: object) -> None:
    config = CONFIG | {key.replace("__", "."): value for key, value in changes.items()}
    record.check_resumable(run_uri="/runs/x", dataset_sha256=sha256, config=config)


def test_where_and_how_it_runs_may_change(tmp_path):
    """Another number of workers, the same data elsewhere; also after a round trip through the run's folder."""
    record().save(str(tmp_path))
    loaded = RunRecord.load(str(tmp_path))
    assert loaded == record()
    check(
        record(), scaling__num_workers="1", data__shards="/b", data__max_damaged_fraction=0.5, validation__num_clips=3
    )


@pytest.mark.parametrize(
    ("stage", "sha256", "changes", "message"),
    [
        ("training", "d1", {"task__temperature": 0.1}, "--task.temperature was 0.07, is 0.1"),
        ("training", "d1", {"validation__fraction": 0.2}, "--validation.fraction was 0.1, is 0.2"),
        ("training", "d2", {}, "begun on data set d1, and --data.shards is d2"),
        ("finished", "d1", {}, "has finished"),
    ],
)
def test_what_it_learns_may_not(stage, sha256, changes, message):
    """Another value, other data, or nothing left to do: each is refused by name."""
    with pytest.raises(ValueError, match=message):
        check(record(stage), sha256, **changes)


def test_a_run_that_has_not_begun_has_no_record(tmp_path):
    """Its folder may be there, for another reason."""
    assert RunRecord.load(str(tmp_path)) is None
