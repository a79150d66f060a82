"""The job as its user runs it: killed and resumed, with more seeds later, and asked again."""

import json
import math
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from rspnet_platform.finetune.recognition_loop_task import read_weights
from rspnet_platform.finetune.several_runs import finetune
from rspnet_platform.run import VALIDATION_OUTBOX
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.metric_outbox import MetricOutbox, MetricPoint

from jobs.finetune import parse
from tests.end_to_end.pretrain_job import ROOT, WITHOUT_REPORT, PretrainJob, kill_group, wait_until
from tests.labelled_dataset import NUM_TEST, NUM_TRAIN, make_labelled_dataset
from tests.waiting import history

pytestmark = pytest.mark.slow

NUM_EPOCHS, BATCH_SIZE, NUM_KEPT_ASIDE = 20, 8, 8
NUM_STEPS = NUM_EPOCHS * (NUM_TRAIN - NUM_KEPT_ASIDE) // BATCH_SIZE
SMALL = {
    "task.clips.num-frames-per-clip": 4,
    "task.view.crop-size": 32,
    "task.dropout": 0.2,
    "training.num-epochs": NUM_EPOCHS,
    "training.global-batch-size": BATCH_SIZE,
    "training.checkpoint-every-num-steps": 10,
    "training.log-every-num-steps": 1,
    "validation.fraction": 0.25,
    "test.num-crops": 3,
    "test.num-clips-per-crop": 2,
}


@dataclass(frozen=True, kw_only=True)
class FinetuneJob(PretrainJob):
    """Of the seed 0, unless `seeds` says otherwise."""

    switches: tuple[str, ...] = WITHOUT_REPORT

    def arguments(self, seeds: tuple[int, ...]) -> list[str]:
        values = SMALL | {
            "model": "random:tiny",
            "data.shards": self.dataset,
            "run.name": self.name,
            "run.storage": self.folder / "runs",
            "tracking.uri": f"sqlite:///{self.database}",
        }
        return [
            *(text for key, value in values.items() for text in (f"--{key}", str(value))),
            "--seeds",
            *map(str, seeds),
        ]

    def command(self, **changes: object) -> list[str]:
        seeds = changes.get("seeds", (0,))
        assert isinstance(seeds, tuple)
        workers = ["--scaling.num-workers", str(changes.get("num_workers", 0))]
        job = str(ROOT / "jobs" / "finetune.py")
        return [sys.executable, job, "tiny", *self.arguments(seeds), *workers, *self.switches]

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / self.name / f"{self.name}-split-1-seed-0"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled"))


@pytest.fixture(scope="module")
def undisturbed(dataset: ShardedDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[FinetuneJob, dict]:
    """One seed from beginning to end, with its result."""
    job = FinetuneJob(folder=tmp_path_factory.mktemp("undisturbed"), dataset=dataset.uri, switches=())
    return job, job.result()


def test_killed_and_resumed_equals_undisturbed(undisturbed, tmp_path):
    """SIGKILL to the whole job in the middle of training, by a worker of Ray Train; without one the same command comes
    to the same losses, epoch, weights and accuracies, leaves the chosen epoch's weights alone, and sends what metrics
    waited."""
    whole, result = undisturbed
    job = FinetuneJob(folder=tmp_path, dataset=whole.dataset)
    process = job.start(num_workers=1)
    try:
        wait_until(job.has_checkpoint, process)
    finally:
        kill_group(process)
    assert job.stage() == "training"
    run_id = json.loads((job.run_folder / "run.json").read_text())["mlflow_run_id"]
    unsent = MetricOutbox(str(job.run_folder / VALIDATION_OUTBOX))  # nobody but the run's last word on metrics sends it
    unsent.append([MetricPoint(run_id, "was_unsent", 1.0, 1, 1)])
    resumed = job.result()
    assert history(f"sqlite:///{job.database}", run_id, "was_unsent") == [(1, 1.0)]
    assert not unsent.names()
    assert resumed["runs"][0]["num_steps"] == NUM_STEPS
    assert result["runs"][0]["report_parts_left_out"] == []
    assert f"{result['runs'][0]['metrics']['finetune/test_top1']:.1%}" in Path(result["runs"][0]["report"]).read_text()
    assert (resumed["metrics"], resumed["runs"][0]["metrics"]) == (result["metrics"], result["runs"][0]["metrics"])
    losses, others = whole.losses(), job.losses()
    assert max(others) == NUM_STEPS
    assert others == {step: losses[step] for step in others}
    weights, found = (read_weights(str(of.run_folder / "classifier.safetensors")) for of in (whole, job))
    assert weights.keys() == found.keys()
    assert all(weights[name].equal(found[name]) for name in weights)
    assert not (job.run_folder / "epochs").exists()


def test_more_seeds_are_added_and_finished_ones_stay(undisturbed, monkeypatch):
    """The second seed is trained, the first is not; mean, deviation and the runs in MLflow are of both. Asked again,
    the answer comes without Ray."""
    job, first = undisturbed
    kept = (job.run_folder / "classifier.safetensors").stat().st_mtime_ns
    both = job.result(seeds=(0, 1))
    assert (job.run_folder / "classifier.safetensors").stat().st_mtime_ns == kept
    assert both["runs"][0] == first["runs"][0]
    accuracies = [run["metrics"]["finetune/test_top1"] for run in both["runs"]]
    assert both["metrics"]["finetune/test_top1_mean"] == pytest.approx(sum(accuracies) / 2)
    assert both["metrics"]["finetune/test_top1_std"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / math.sqrt(2))
    assert min(accuracies) >= 0.75  # by their colour; chance is a half
    for run in both["runs"]:
        assert run["metrics"]["finetune/num_test_videos"] == NUM_TEST
        assert run["metrics"]["finetune/validation_top1"] >= 0.75
    assert "2 clips x 3 crops" in both["protocol"]
    assert children_in_mlflow(job.database, both["run_id"]) == {(run["run_id"], "FINISHED") for run in both["runs"]}
    monkeypatch.setattr("rspnet_platform.runtime.connect", lambda: pytest.fail("Ray was started"))
    assert finetune(parse(["tiny", *job.arguments((0, 1))])) == json.loads(json.dumps(both))


def children_in_mlflow(database: Path, parent_id: str) -> set[tuple[str, str]]:
    """Id and status."""
    query = (
        "select r.run_uuid, r.status from runs r join tags t on t.run_uuid = r.run_uuid "
        "where t.key = 'mlflow.parentRunId' and t.value = ?"
    )
    with sqlite3.connect(database) as connection:
        return set(connection.execute(query, (parent_id,)).fetchall())
