"""The verdict by hand, the config's differences, and which folders are runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from rspnet_platform.report.config_table import config_rows
from rspnet_platform.report.verdict import recognition_verdict, retrieval_verdict
from rspnet_platform.tracking.tracking_config import TrackingConfig
from rspnet_platform.train.checkpoint_list import CHECKPOINT_LIST
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.visualise.recorded_run import keep_recipe, read_recorded_run
from rspnet_platform.visualise.retrieval_table import RetrievalRow, RetrievalTable

from tests.core.tiny_tasks import CONFIGS
from tests.task_checkpoint import smaller, write_checkpoint


def table(
    share: float, mean: float, std: float | None, *, num_queries: int = 100, num_random: int = 3
) -> RetrievalTable:
    row = RetrievalRow(k=1, share=share, random_mean=mean, random_std=std)
    return RetrievalTable(
        rows=[row], num_queries=num_queries, num_gallery=9, num_random=num_random, skipped=(), protocol="p"
    )


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        # With 100 queries a share of a half has a deviation of 5 points: 2 x sqrt(5^2 + 0^2) = 10 points are chance.
        (table(0.5, 0.39, 0.0), "above"),
        (table(0.5, 0.41, 0.0), "within"),
        (table(0.5, 0.61, 0.0), "below"),
        # And the seeds' own: 2 x sqrt(5^2 + 12^2) = 26 points.
        (table(0.5, 0.25, 0.12), "within"),
        (table(0.5, 0.23, 0.12), "above"),
        # With 10,000 queries half a point of chance is left.
        (table(0.5, 0.48, 0.0, num_queries=10_000), "above"),
        # Nobody knows the spread of one seed.
        (table(0.9, 0.1, None, num_random=1), "unknown"),
    ],
)
def test_the_verdict_is_of_both_spreads(found: RetrievalTable, kind: str):
    verdict = retrieval_verdict(found)
    assert verdict.kind == kind
    assert f"{found.rows[0].share:.1%}" in verdict.sentence
    assert ("Within the spread of random initialisation" in verdict.sentence) == (kind == "within")
    assert ("single random initialisation" in verdict.sentence) == (kind == "unknown")


def test_fine_tuning_is_held_against_a_constant_answer():
    """80 % of 100 videos have a deviation of 4 points."""
    assert recognition_verdict(0.8, 0.71, 100).kind == "above"
    assert recognition_verdict(0.8, 0.73, 100).kind == "within"
    assert recognition_verdict(0.8, 0.89, 100).kind == "below"


def test_a_difference_is_one_of_values():
    """Tuples that JSON made lists are the same; a key that the recipe lacks is no difference; secrets are hidden."""
    config: dict[str, Any] = {"a.sizes": [1, 2], "b": 3, "c": 1.0, "run.name": "x", "api_token": "hunter2", "new": 1}
    rows = {row.key: row for row in config_rows(config, {"a.sizes": (1, 2), "b": 4, "c": 1, "run.name": None})}
    assert list(rows) == sorted(config)
    assert {key: row.recipe_value for key, row in rows.items() if row.recipe_value is not None} == {"b": "4"}
    assert "hunter2" not in rows["api_token"].value
    assert all(row.recipe_value is None for row in config_rows(config, None))


def run_folder(folder: Path, **config: object) -> Path:
    """Of a run of two clips a video, with a checkpoint."""
    task = smaller(CONFIGS["moco"])
    write_checkpoint(folder / "checkpoint_1", task, changes={"training.global_batch_size": 8})
    newest = {"latest_checkpoint_result": {"checkpoint_dir_name": "checkpoint_1"}}
    (folder / CHECKPOINT_LIST).write_text(json.dumps(newest))
    values = {"training.global_batch_size": 8, "tracking.uri": "sqlite:////somewhere/mlflow.db", **config}
    RunRecord(stage="training", mlflow_run_id="1", dataset_sha256="2", config=values).save(str(folder))
    return folder


def test_a_run_is_found_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its store is its own unless another is named, or a password was taken out of it; its recipe is the one that it
    began with."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder = run_folder(tmp_path / "first")
    keep_recipe(str(folder), {"task.temperature": 0.07})
    keep_recipe(str(folder), {"task.temperature": 0.5})
    run = read_recorded_run(f"{folder}/", TrackingConfig())
    assert (run.name, run.method, run.tracking_uri) == ("first", "moco", "sqlite:////somewhere/mlflow.db")
    assert run.recipe == {"task.temperature": 0.07}
    assert run.clips_per_step == 16
    assert run.checkpoint == str(folder / "checkpoint_1")
    assert not run.is_finetuning
    other = read_recorded_run(str(folder), TrackingConfig(uri="http://localhost:5000"))
    assert other.tracking_uri == "http://localhost:5000"
    hidden = run_folder(tmp_path / "second", **{"tracking.uri": "postgresql://me:***@db/rspnet"})
    assert read_recorded_run(str(hidden), TrackingConfig()).tracking_uri.startswith("sqlite:")


def test_what_is_no_run_is_refused(tmp_path: Path):
    """Nothing there, another folder, and the folder of several fine-tuning runs, which are named."""
    with pytest.raises(ValueError, match="there is no such folder; accepted is the one that a job prints as storage"):
        read_recorded_run(str(tmp_path / "nothing"), TrackingConfig())
    (tmp_path / "videos").mkdir()
    with pytest.raises(ValueError, match=r"it has no run\.json"):
        read_recorded_run(str(tmp_path / "videos"), TrackingConfig())
    run_folder(tmp_path / "tuned" / "tuned-split-1-seed-0")
    (tmp_path / "tuned" / "finetune.json").write_text("{}")
    with pytest.raises(ValueError, match="accepted is the folder of one of them: tuned-split-1-seed-0"):
        read_recorded_run(str(tmp_path / "tuned"), TrackingConfig())
