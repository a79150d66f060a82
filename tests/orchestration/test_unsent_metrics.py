"""What a training could not send is sent at its end, also where many trainings are one job's."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rspnet_platform.benchmark import benchmark_run
from rspnet_platform.config import PretrainConfig
from rspnet_platform.run import TRAINING_OUTBOX, VALIDATION_OUTBOX, Run, outbox_uri
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.sweep import trial as sweep_trial
from rspnet_platform.sweep.trial_record import TrialRecord
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.metric_outbox import MetricOutbox, MetricPoint
from rspnet_platform.train.run_record import RunRecord

from jobs.recipe_files.tiny import tiny_cpu
from tests.waiting import history

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
ANY: Any = None


@pytest.fixture
def config(small_dataset: ShardedDataset, empty_database: Path, tmp_path: Path) -> PretrainConfig:
    default = tiny_cpu()
    database = shutil.copy(empty_database, tmp_path / "mlflow.db")
    return replace(
        default,
        data=replace(default.data, shards=small_dataset.uri),
        task=replace(default.task, queue_size=16),
        training=replace(default.training, global_batch_size=8),
        run=replace(default.run, name="first", storage=str(tmp_path / "runs")),
        tracking=replace(default.tracking, uri=f"sqlite:///{database}"),
    )


def train_with_the_server_away(run: Run, record: RunRecord) -> None:
    """Leaves what training and validation leave then."""
    for step, name in enumerate((TRAINING_OUTBOX, VALIDATION_OUTBOX), start=1):
        MetricOutbox(outbox_uri(run, name)).append([MetricPoint(record.mlflow_run_id, "loss", 0.5, 1, step)])


def check_sent(run: Run) -> None:
    record = RunRecord.load(run.uri)
    assert record is not None
    assert history(run.tracking_uri, record.mlflow_run_id, "loss") == [(1, 0.5), (2, 0.5)]
    assert not [
        name for each in (TRAINING_OUTBOX, VALIDATION_OUTBOX) for name in MetricOutbox(outbox_uri(run, each)).names()
    ]


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("undone", ["log_damage", "send_unsent_metrics", "runs.end_run"])
def test_a_benchmarks_run_sends_them(config: PretrainConfig, monkeypatch: pytest.MonkeyPatch, undone: str) -> None:
    """Before it counts as trained and is not opened again: the same command does what was interrupted."""
    monkeypatch.setattr(benchmark_run, "train", lambda run, record, *_, **__: train_with_the_server_away(run, record))
    planned = benchmark_run.plan_run("tiny_cpu", 0, config)
    with monkeypatch.context() as patched:
        patched.setattr(f"{benchmark_run.__name__}.{undone}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            benchmark_run.train_run(planned, ANY, {})
    assert benchmark_run.train_run(planned, ANY, {}) is None
    check_sent(planned.run)
    record = RunRecord.load(planned.run.uri)
    assert record is not None
    assert tracking_client(planned.run.tracking_uri).get_run(record.mlflow_run_id).info.status == "FINISHED"


def test_a_trial_sends_them(config: PretrainConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before its outcome is written."""

    def train(_trial: Any, _launch: Any, run: Run, record: RunRecord, _stream: Any) -> tuple[str, str]:
        train_with_the_server_away(run, record)
        return "finished", ""

    monkeypatch.setattr(sweep_trial, "train_reporting", train)
    trial = TrialRecord(number=0, kind="search", parameters={}, seed=0)
    launch = sweep_trial.TrialLaunch(
        config=config,
        resources=ANY,
        video_indices=ANY,
        pack=None,
        book_folder=str(tmp_path / "book"),
        runs_uri=str(tmp_path / "runs"),
        home=tmp_path,
        board_name="board",
        num_retries=0,
        tags={},
    )
    run, stream = sweep_trial.prepare(trial, launch)
    assert sweep_trial.attempt(trial, launch, run, stream)["state"] == "finished"
    check_sent(run)
