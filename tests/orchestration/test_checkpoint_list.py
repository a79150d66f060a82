"""The list of a run's checkpoints, torn while Ray wrote it."""

import json
from pathlib import Path

import pytest
from rspnet_platform.train.checkpoint_checksums import DamagedCheckpointError
from rspnet_platform.train.checkpoint_list import (
    CHECKPOINT_LIST,
    COPY,
    CheckpointListKeeper,
    delete_unlisted_checkpoints,
    mend_checkpoint_list,
)
from rspnet_platform.train.damaged_checkpoints import drop_newest_checkpoint

EMPTY = {
    "checkpoint_results": [],
    "checkpoint_report_indices": [],
    "pending_training_results": [],
    "pending_validation_specs": [],
}
OLD, NEW = json.dumps(EMPTY | {"current_report_index": 1}), json.dumps(EMPTY | {"current_report_index": 2})


def keep(folder: Path, content: str) -> None:
    """Ray writes its list, and the keeper is told."""
    (folder / CHECKPOINT_LIST).write_text(content)
    CheckpointListKeeper(str(folder)).after_report(None, [], None)


@pytest.mark.parametrize("num_bytes", [0, 1, len(NEW) - 1])
def test_a_torn_list_is_replaced_by_the_one_before(tmp_path, capsys, num_bytes):
    """However much of it was written; and the run says so."""
    keep(tmp_path, OLD)
    (tmp_path / CHECKPOINT_LIST).write_text(NEW[:num_bytes])
    mend_checkpoint_list(str(tmp_path))
    assert (tmp_path / CHECKPOINT_LIST).read_text() == OLD
    assert "was torn" in capsys.readouterr().err


def test_a_whole_list_stays(tmp_path, capsys):
    """Newer than the copy where the run was killed between the two."""
    keep(tmp_path, OLD)
    (tmp_path / CHECKPOINT_LIST).write_text(NEW)
    mend_checkpoint_list(str(tmp_path))
    assert (tmp_path / CHECKPOINT_LIST).read_text() == NEW
    assert not capsys.readouterr().err


def test_a_list_torn_before_the_first_copy_is_none(tmp_path):
    """The run's first checkpoint was on its way: there is nothing to go on from."""
    (tmp_path / CHECKPOINT_LIST).write_text(NEW[:5])
    mend_checkpoint_list(str(tmp_path))
    assert not (tmp_path / CHECKPOINT_LIST).exists()


def test_a_run_that_has_not_begun_needs_nothing(tmp_path):
    """Nor one in an object store, where files are put as a whole."""
    mend_checkpoint_list(str(tmp_path / "none"))
    mend_checkpoint_list("s3://bucket/run")
    CheckpointListKeeper("s3://bucket/run").after_report(None, [], None)
    assert not (tmp_path / COPY).exists()


def test_what_the_list_does_not_name_is_deleted(tmp_path, capsys):
    """Half a checkpoint of a full disk, or one that was on its way at a kill. What is listed, waits for its validation
    or has another name stays."""
    names = {kind: f"checkpoint_2026-12-01_13-09-30.60222{index}" for index, kind in enumerate(("kept", "new", "left"))}
    for name in (*names.values(), "checkpoint_of_mine", "damaged_videos"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.json").touch()
    results = {kind: {"checkpoint_dir_name": name} for kind, name in names.items()}
    listed = EMPTY | {
        "checkpoint_results": [results["kept"]],
        "pending_training_results": [results["new"]],
        "latest_checkpoint_result": results["new"],
    }
    (tmp_path / CHECKPOINT_LIST).write_text(json.dumps(listed))
    delete_unlisted_checkpoints(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(
        [names["kept"], names["new"], "checkpoint_of_mine", "damaged_videos"]
    )
    assert capsys.readouterr().err.count("deleted") == 1


def test_a_checkpoint_that_was_found_damaged_stays(tmp_path):
    """The run went on from the one before, and said that it is left where it is."""
    names = [f"checkpoint_2026-12-01_13-09-30.60222{index}" for index in range(2)]
    for name in names:
        (tmp_path / name).mkdir()
    results = [{"checkpoint_dir_name": name, "metrics": {"step": step}} for step, name in enumerate(names)]
    listed = {
        "checkpoint_results": results,
        "checkpoint_report_indices": [0, 1],
        "latest_checkpoint_result": results[1],
    }
    (tmp_path / CHECKPOINT_LIST).write_text(json.dumps(EMPTY | listed))
    assert drop_newest_checkpoint(str(tmp_path), DamagedCheckpointError("a byte differs")) == 0
    delete_unlisted_checkpoints(str(tmp_path))
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2


def test_without_a_list_nothing_is_deleted(tmp_path, capsys):
    """The first checkpoint was on its way, or the list was lost: the run begins anew, and says so."""
    (tmp_path / "checkpoint_2026-12-01_13-09-30.602226").mkdir()
    delete_unlisted_checkpoints(str(tmp_path))
    delete_unlisted_checkpoints(str(tmp_path / "none"))
    assert len(list(tmp_path.iterdir())) == 1
    assert capsys.readouterr().err.count("has 1 checkpoints and no ") == 1
