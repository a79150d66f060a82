"""A benchmark as its user runs it: killed and resumed, with more seeds later, and with a run that cannot end."""

import csv
import io
import json
import sqlite3
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest
from rspnet_platform.benchmark.benchmark import benchmark
from rspnet_platform.benchmark.benchmark_run import plan_runs
from rspnet_platform.benchmark.encoder_scores import score_all
from rspnet_platform.benchmark.questions import candidates

from jobs.benchmark import parse
from tests.end_to_end.pretrain_job import ROOT, PretrainJob, kill_group, wait_until
from tests.labelled_dataset import NUM_TRAIN, make_labelled_dataset

pytestmark = pytest.mark.slow

NUM_EPOCHS, BATCH_SIZE = 2, 8
NUM_STEPS = NUM_EPOCHS * NUM_TRAIN // BATCH_SIZE
SMALL = {
    "task.clips.num-frames-per-clip": 4,
    "task.view.crop-size": 32,
    "task.queue-size": 16,
    "training.num-epochs": NUM_EPOCHS,
    "training.global-batch-size": BATCH_SIZE,
    "training.checkpoint-every-num-steps": 2,
    "training.log-every-num-steps": 1,
}
RECIPES = ["tiny_cpu", "tiny_appearance_instance"]
RANDOM = "random (tiny, 4 frames of 32, imagenet colours)"


@dataclass(frozen=True, kw_only=True)
class BenchmarkJob(PretrainJob):
    def arguments(self, num_seeds: int, recipes: list[str]) -> list[str]:
        values = SMALL | {
            "num-seeds": num_seeds,
            "data.shards": self.dataset,
            "run.name": self.name,
            "run.storage": self.folder / "runs",
            "tracking.uri": f"sqlite:///{self.database}",
        }
        flags = [text for key, value in values.items() for text in (f"--{key}", str(value))]
        return ["--recipes", *recipes, "--protocols", "retrieval", "knn", *flags]

    def command(self, **changes: object) -> list[str]:  # noqa: ARG002
        return [sys.executable, str(ROOT / "jobs" / "benchmark.py"), *self.arguments(1, RECIPES)]

    def records(self) -> dict[str, bytes]:
        """What says that a run has ended, and when it was last written."""
        return {
            str(path.relative_to(self.run_folder)): path.read_bytes() + str(path.stat().st_mtime_ns).encode()
            for path in self.run_folder.glob("*-seed-*/run.json")
        }


def tracked(database: Path) -> dict[str, tuple[str, str | None]]:
    """State and parent of each run in MLflow, by its name."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "select runs.name, runs.status, tags.value from runs left join tags on tags.run_uuid = runs.run_uuid "
            "and tags.key = 'mlflow.parentRunId'"
        ).fetchall()
    return {name: (status, parent) for name, status, parent in rows}


def test_killed_resumed_and_enlarged(tmp_path, empty_database, monkeypatch):
    """No run is repeated, none is lost; more seeds and recipes join the table; a run that diverges is named and left
    out; encoders whose numbers are known are not asked again."""
    monkeypatch.setenv("RSPNET_HOME", str(tmp_path))
    job = BenchmarkJob(folder=tmp_path, dataset=make_labelled_dataset(tmp_path / "videos").uri)
    job.database.write_bytes(empty_database.read_bytes())
    process = job.start()
    wait_until(lambda: (job.run_folder / "tiny_appearance_instance-seed-0" / "run.json").exists(), process)
    kill_group(process)
    ended = {name: of for name, of in job.records().items() if b'"trained"' in of}
    assert list(ended) == ["tiny_cpu-seed-0/run.json"]

    config = parse(job.arguments(2, [*RECIPES, "tiny_moco"]))
    moco = config.configs["tiny_moco"]
    diverging = replace(moco, optimizer=replace(moco.optimizer, learning_rate=1e30))
    result = benchmark(replace(config, configs={**config.configs, "tiny_moco": diverging}))
    assert ended.items() <= job.records().items(), "a run that had ended was begun again"
    check_table(job, result)

    smaller = replace(config, configs={recipe: config.configs[recipe] for recipe in RECIPES})
    computed = "rspnet_platform.benchmark.encoder_scores.computed_features"
    monkeypatch.setattr(computed, lambda _: pytest.fail("computed again"))
    again = score_all(smaller, candidates(plan_runs(smaller, result["storage"]), 2), result["storage"])
    assert [asdict(of) for of in again] == result["scores"]


def check_table(job: BenchmarkJob, result: dict) -> None:
    """What the job prints, its files and MLflow agree."""
    assert sorted(result["stopped"]) == ["tiny_moco-seed-0", "tiny_moco-seed-1"]
    assert "the loss is " in result["stopped"]["tiny_moco-seed-0"]
    values = {(of["row"], of["seed"]): of["numbers"]["retrieval"]["top1"] for of in result["scores"]}
    assert set(values) == {(row, seed) for row in (RANDOM, *RECIPES) for seed in range(2)}
    mean = (values["tiny_cpu", 0] + values["tiny_cpu", 1]) / 2
    assert result["metrics"]["benchmark/tiny_cpu/retrieval_top1_mean"] == pytest.approx(mean)

    table = (job.run_folder / "benchmark.md").read_text()
    assert f"| {NUM_STEPS} |" in table
    assert "- tiny_moco-seed-0: " in table
    lines = list(csv.DictReader(io.StringIO((job.run_folder / "benchmark.csv").read_text())))
    in_csv = {
        (line["pretraining"], int(line["seed"])): float(line["value"]) for line in lines if line["number"] == "top1"
    }
    assert in_csv == values
    assert json.loads((job.run_folder / "tiny_cpu-seed-0" / "training_cost.json").read_text())["training_seconds"] > 0

    runs = tracked(job.database)
    parent = result["run_id"]
    assert runs[job.name] == ("FINISHED", None)
    for recipe in RECIPES:
        for seed in range(2):
            assert runs[f"{recipe}-seed-{seed}"] == ("FINISHED", parent)
    assert runs["tiny_moco-seed-0"] == ("FAILED", parent)
    artifacts = {path.name for path in (job.folder / "mlartifacts").rglob("benchmark.*")}
    assert artifacts == {"benchmark.md", "benchmark.csv", "benchmark.png"}
