"""Which checkpoints stay when they are scored: kept, listed and taken up again by Ray Train's own manager."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from ray.train import Checkpoint, CheckpointConfig
from ray.train.v2._internal.execution.checkpoint.checkpoint_manager import CheckpointManager
from ray.train.v2._internal.execution.storage import StorageContext
from ray.train.v2._internal.execution.training_report import _TrainingReport
from ray.train.v2.api.reported_checkpoint import ReportedCheckpointStatus
from rspnet_platform.train.checkpoint_list import (
    CHECKPOINT_LIST,
    CheckpointListKeeper,
    best_checkpoint,
    mend_checkpoint_list,
    newest_checkpoint_uri,
)
from rspnet_platform.validation.validation_ledger import ValidationLedger
from rspnet_platform.validation.validation_turns import ValidationTurns

SCORE = "validation/train_knn_top1"
VALIDATED, FAILED = ReportedCheckpointStatus.VALIDATED, ReportedCheckpointStatus.VALIDATION_FAILED


def manager(folder: Path, num_kept: int) -> CheckpointManager:
    config: Any = CheckpointConfig(num_to_keep=num_kept, checkpoint_score_attribute=SCORE)
    return CheckpointManager(
        checkpoint_config=config,
        storage_context=StorageContext(storage_path=str(folder), experiment_dir_name="run"),
    )


def checkpoint_of(folder: Path, step: int) -> Checkpoint:
    return Checkpoint.from_directory(folder / "run" / f"checkpoint_{step}")


def report(its: CheckpointManager, folder: Path, step: int, *, is_validated: bool = True) -> None:
    """As a run's rank 0 does, with the score that a checkpoint begins with."""
    turns = ValidationTurns(
        score=SCORE, every_num_steps=1, each_in_turn=True, ledger=ValidationLedger(uri=str(folder / "none"))
    )
    (folder / "run" / f"checkpoint_{step}").mkdir(parents=True)
    its.register_checkpoint(
        _TrainingReport(
            metrics={"step": step} | turns.first_metrics,
            checkpoint=checkpoint_of(folder, step),
            validation=is_validated,
        )
    )


def validate(its: CheckpointManager, folder: Path, step: int, score: float | None) -> None:
    pending = {checkpoint.path: checkpoint for checkpoint in its.get_pending_training_results()}
    checkpoint = pending[checkpoint_of(folder, step).path]
    update = ({}, FAILED) if score is None else ({SCORE: score}, VALIDATED)
    its.update_checkpoints_with_validation_result({checkpoint: update})


def steps_there(folder: Path) -> list[int]:
    return sorted(int(path.name.split("_")[1]) for path in (folder / "run").glob("checkpoint_*") if path.is_dir())


@pytest.mark.parametrize(("num_kept", "there"), [(1, [10, 40]), (2, [10, 30, 40])])
def test_the_best_and_the_latest_stay(tmp_path, num_kept, there):
    """The latest goes on with the run although it is neither scored nor among the best."""

    async def run() -> None:
        its = manager(tmp_path, num_kept)
        for step, score in ((10, 0.5), (20, 0.1), (30, 0.3)):
            report(its, tmp_path, step)
            validate(its, tmp_path, step, score)
        report(its, tmp_path, 40, is_validated=False)

    (tmp_path / "run").mkdir()
    asyncio.run(run())
    uri = str(tmp_path / "run")
    best = best_checkpoint(uri, SCORE)
    assert best is not None
    assert (best.uri, best.step, best.score) == (f"{uri}/checkpoint_10", 10, 0.5)
    assert newest_checkpoint_uri(uri) == f"{uri}/checkpoint_40"
    assert steps_there(tmp_path) == there


def test_what_fails_has_no_score_and_equal_ones_go_to_the_later(tmp_path):
    """And where all fail there is no best, and the latest stays alone."""

    async def run(scores: dict[int, float | None]) -> None:
        its = manager(tmp_path, 1)
        for step, score in scores.items():
            report(its, tmp_path, step)
            validate(its, tmp_path, step, score)

    (tmp_path / "run").mkdir()
    asyncio.run(run({10: None, 20: None}))
    assert best_checkpoint(str(tmp_path / "run"), SCORE) is None
    assert steps_there(tmp_path) == [20]
    asyncio.run(run({30: 0.5, 40: 0.5, 50: None}))
    best = best_checkpoint(str(tmp_path / "run"), SCORE)
    assert best is not None
    assert best.step == 40
    assert steps_there(tmp_path) == [40, 50]


def test_a_run_that_is_taken_up_again_validates_what_waited_and_goes_on_from_the_latest(tmp_path):
    """Not from the best; and a checkpoint that waits is kept until it has its turn."""

    async def first() -> None:
        its = manager(tmp_path, 1)
        report(its, tmp_path, 10)
        validate(its, tmp_path, 10, 0.5)
        report(its, tmp_path, 20)
        report(its, tmp_path, 30, is_validated=False)

    async def second() -> None:
        its = manager(tmp_path, 1)
        assert its.latest_checkpoint_result is not None
        assert its.latest_checkpoint_result.metrics["step"] == 30
        assert [Path(each.path).name for each in its.get_pending_training_results()] == ["checkpoint_20"]
        validate(its, tmp_path, 20, 0.6)

    (tmp_path / "run").mkdir()
    asyncio.run(first())
    assert steps_there(tmp_path) == [10, 20, 30]
    asyncio.run(second())
    best = best_checkpoint(str(tmp_path / "run"), SCORE)
    assert best is not None
    assert best.step == 20
    assert steps_there(tmp_path) == [20, 30]


def test_a_torn_list_is_mended_although_a_validation_has_deleted_what_its_copy_names(tmp_path):
    """The copy is made at reports alone; Ray refuses a list that names what is gone."""

    async def run() -> None:
        its = manager(tmp_path, 1)
        for step in (10, 20, 30):
            report(its, tmp_path, step)
        CheckpointListKeeper(str(tmp_path / "run")).after_report(None, [], None)
        for step, score in ((10, 0.1), (20, 0.4), (30, 0.2)):
            validate(its, tmp_path, step, score)

    async def resumed() -> list[int]:
        return [result.metrics["step"] for result in manager(tmp_path, 1)._checkpoint_results]

    (tmp_path / "run").mkdir()
    asyncio.run(run())
    assert steps_there(tmp_path) == [20, 30]
    listed = tmp_path / "run" / CHECKPOINT_LIST
    listed.write_text(listed.read_text()[:100])
    mend_checkpoint_list(str(tmp_path / "run"))
    assert sorted(asyncio.run(resumed())) == [20, 30]
    assert json.loads(listed.read_text())["latest_checkpoint_result"]["metrics"]["step"] == 30
