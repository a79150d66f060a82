"""The list of a run's checkpoints, torn while Ray wrote it."""

import json
from pathlib import Path

import pytest
from rspnet_platform.train.checkpoint_list import (
    CHECKPOINT_LIST,
    COPY,
    CheckpointListKeeper,
    mend_checkpoint_list,
)

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
