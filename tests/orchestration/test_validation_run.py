"""A real run whose checkpoints are validated beside it, one of them by a process that dies each time."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle
from rspnet_platform import pretraining, runtime
from rspnet_platform.run import begin, settle
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.train.checkpoints import load_data_state
from rspnet_platform.train.launch import plan_resources, plan_stream
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.validation.validation_options import ValidationOptions

from jobs.recipes import tiny_cpu
from tests.labelled_dataset import make_labelled_dataset
from tests.task_checkpoint import smaller
from tests.waiting import history

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
STEPS = (4, 8, 12)
DEADLY = 8


@dataclass(frozen=True)
class DyingAt:
    """Keeps what it is told, and takes the task's process along at one step."""

    step: int
    folder: str

    def on_validation(self, step, num_samples, metrics) -> None:
        with Path(self.folder, "told.jsonl").open("a") as file:
            file.write(json.dumps([step, num_samples, dict(metrics)]) + "\n")
        if step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def interrupted_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def done_and_interrupted(*args: Any, **kwargs: Any) -> None:
        step(*args, **kwargs)
        raise KeyboardInterrupt

    return done_and_interrupted


def test_result_record_folder_and_checkpoints_agree(tmp_path, monkeypatch):
    """A validation that dies is begun again, given up, counted and said; the run goes on, and so do later ones. The
    run's end, interrupted after each of its steps, is made up for, and does nothing twice."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    dataset = make_labelled_dataset(tmp_path / "videos")
    config = tiny_cpu()
    task: Any = config.task
    config = replace(
        config,
        task=smaller(replace(task, clips=replace(task.clips, num_frames_per_clip=4), queue_size=16)),
        data=replace(config.data, shards=dataset.uri),
        scaling=replace(config.scaling, num_workers="1"),
        training=replace(
            config.training, num_epochs=3, global_batch_size=8, checkpoint_every_num_steps=4, num_checkpoints_kept=1
        ),
        evaluation=replace(config.evaluation, num_random_encoders=1),
        validation=ValidationOptions(each_in_turn=True, registers="best"),
        tracking=replace(config.tracking, uri=f"sqlite:///{tmp_path / 'mlflow.db'}"),
        run=replace(config.run, name="run", storage=str(tmp_path / "runs")),
    )
    run = settle(config, tmp_path)
    stream = plan_stream(run.config, run.dataset, run.uri)
    runtime.connect(num_cpus=2)
    try:
        resources, budget = plan_resources(run.config)
        record = begin(run, None)
        listener = DyingAt(DEADLY, str(tmp_path))
        pretraining.train(run, record, stream, resources, validation_listeners=(listener,))
        record = record.at("trained")
        record.save(run.uri)
        for last_done in ("log_damage", "register", "send_unsent_metrics", "report_at_end"):
            with monkeypatch.context() as patched:
                patched.setattr(pretraining, last_done, interrupted_after(getattr(pretraining, last_done)))
                with pytest.raises(KeyboardInterrupt):
                    pretraining.finish(run, record, stream, use_gpu=False)
            assert RunRecord.load(run.uri) == record, f"finished, though interrupted after {last_done}"
        result = pretraining.finish(run, record, stream, use_gpu=False)
    finally:
        runtime.disconnect()

    assert "validation" in budget.table()
    assert result["validation"] == {
        "objective": "validation/train_knn_top1",
        "num_validated": 2,
        "num_failed": 1,
        "num_left_out": 0,
    }
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert sorted(step for step, _, _ in told) == [4, 8, 8, 12]
    assert {step: num_samples for step, num_samples, _ in told} == {4: 32, 8: 64, 12: 96}
    metrics = {step: of for step, _, of in told}
    for step in STEPS:
        entry = json.loads((Path(run.uri) / "validation" / f"step_{step:010d}.json").read_text())
        assert entry["state"] == ("failed" if step == DEADLY else "validated")
        assert entry["metrics"] == ({} if step == DEADLY else metrics[step])
    scores = {step: metrics[step]["validation/train_knn_top1"] for step in (4, 12)}
    best_step = max(scores, key=lambda step: (scores[step], step))
    assert (result["best_checkpoint_step"], result["best_checkpoint_score"]) == (best_step, scores[best_step])
    checkpoint = pretraining.checkpoint_at(result["best_checkpoint"])
    assert load_data_state(checkpoint).step == best_step
    finished = RunRecord.load(run.uri)
    assert finished is not None
    assert finished.stage == "finished"
    client = tracking_client(run.tracking_uri)
    assert client.get_run(record.mlflow_run_id).info.status == "FINISHED"
    assert [version.version for version in client.search_model_versions("name = 'rspnet'")] == [1]
    assert Path(result["report"]).exists()
    points = history(run.tracking_uri, record.mlflow_run_id, "validation/retrieval_top1")
    assert [step for step, _ in points] == [12]
    assert finished.registered_checkpoint == Path(result["best_checkpoint"]).name
    kept = {load_data_state(pretraining.checkpoint_at(str(path))).step for path in Path(run.uri).glob("checkpoint_2*")}
    assert kept == {best_step, 12}
    for name, value in metrics[12].items():
        steps = dict(history(run.tracking_uri, record.mlflow_run_id, name))
        assert steps[12] == pytest.approx(value), name
