"""The report at a run's end and made again: where it is kept, what it reuses, and that it costs no run."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos, evaluate_retrieval, retrieval_metrics
from rspnet_platform.inference.run_evaluation import Evaluation
from rspnet_platform.report import run_end
from rspnet_platform.report.draw_report import draw_report
from rspnet_platform.report.run_end import report_at_end
from rspnet_platform.run import Run
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.tracking_config import TrackingConfig
from rspnet_platform.train.checkpoint_list import CHECKPOINT_LIST
from rspnet_platform.train.checkpoints import TENSORS
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.visualise.part_configs import ReportConfig
from rspnet_platform.visualise.recorded_run import read_recorded_run

from tests.core.tiny_tasks import CONFIGS
from tests.task_checkpoint import smaller, write_checkpoint

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def evaluation_of(dataset: ShardedDataset) -> Evaluation:
    """Of features that nobody has to compute any more."""
    labelled = LabelledVideos.from_dataset(dataset)
    assert labelled is not None
    generator = np.random.default_rng(0)
    names = ("trained", "random_0", "random_1")
    features = DatasetFeatures(
        video_indices=labelled.video_indices,
        features={name: generator.normal(0, 1, (24, 4)).astype(np.float32) for name in names},
    )
    results = evaluate_retrieval(labelled, features, PretrainConfig().evaluation.retrieval_protocol)
    return Evaluation(
        protocol="p", results=results, metrics=retrieval_metrics(results), labelled=labelled, features=features
    )


def at_end(
    dataset: ShardedDataset, folder: Path, tracking_uri: str, run_id: str, registered_checkpoint: str | None = None
) -> dict[str, Any]:
    config = PretrainConfig()
    run = Run(config=config, name="first", uri=str(folder / "first"), tracking_uri=tracking_uri, dataset=dataset)
    record = RunRecord(
        stage="finished",
        mlflow_run_id=run_id,
        dataset_sha256=run.dataset_sha256,
        config=flatten(config),
        registered_checkpoint=registered_checkpoint,
    )
    record.save(run.uri)
    return report_at_end(
        run,
        record,
        build_seeded("tiny", seed=0),
        EncoderInput(),
        evaluation_of(dataset),
        damage=DamageLedger(uri=str(folder / "damaged")),
        use_gpu=False,
    )


def test_the_report_is_an_artifact_of_the_run(small_dataset: ShardedDataset, store: str, tmp_path: Path):
    """With the evaluation's own numbers, whose features are not computed again: no Ray is there to do it."""
    run_id = runs.start_run(store, "rspnet", "first", {}, {})
    for step in (1, 2):
        runs.log_metrics_once(store, run_id, step, {"train/loss": 2.0 / step})
    result = at_end(small_dataset, tmp_path, store, run_id)
    assert result["report_parts_left_out"] == [{"part": "roi", "reason": "the run has no checkpoint yet"}]
    page = Path(result["report"])
    assert page.name == "report.html"
    assert run_id in str(page)
    top1 = evaluation_of(small_dataset).metrics["validation/retrieval_top1"]
    assert f"<b>{top1:.1%}</b>" in page.read_text()


@pytest.mark.parametrize(
    ("registered", "left_out"), [("checkpoint_best", []), ("checkpoint_newest", ["roi"]), (None, ["roi"])]
)
def test_maps_are_of_the_registered_checkpoint(
    small_dataset: ShardedDataset, store: str, tmp_path: Path, registered: str | None, left_out: list[str]
):
    """The newest, which has no weights here, is looked at only where it is that, or none is registered."""
    folder = tmp_path / "first"
    for name in ("checkpoint_best", "checkpoint_newest"):
        write_checkpoint(folder / name, smaller(CONFIGS["rspnet"]))
    (folder / "checkpoint_newest" / TENSORS).unlink()
    newest = {"latest_checkpoint_result": {"checkpoint_dir_name": "checkpoint_newest"}}
    (folder / CHECKPOINT_LIST).write_text(json.dumps(newest))
    run_id = runs.start_run(store, "rspnet", "first", {}, {})
    result = at_end(small_dataset, tmp_path, store, run_id, registered)
    parts = {part["part"]: part["reason"] for part in result["report_parts_left_out"]}
    assert [name for name in parts if name != "curves"] == left_out
    assert all("checkpoint_newest is not complete" in parts[name] for name in left_out)
    recorded = read_recorded_run(str(folder), TrackingConfig(uri=store))
    assert recorded.checkpoint == f"{folder}/{registered or 'checkpoint_newest'}"


def test_a_server_that_is_away_costs_curves_alone(
    small_dataset: ShardedDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """The page is in the run's folder then, and says what it lacks."""
    result = at_end(small_dataset, tmp_path, NOBODY_LISTENS, "1")
    assert result["report"] == str(tmp_path / "first" / "report.html")
    assert [part["part"] for part in result["report_parts_left_out"]] == ["curves", "roi"]
    assert "no answer from the tracking store" in Path(result["report"]).read_text()
    assert "MLflow did not take it" in capsys.readouterr().err


def test_a_fault_of_the_whole_page_is_listed(
    small_dataset: ShardedDataset, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is raised: the run is finished."""

    def fails(_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(run_end, "report_pretraining", fails)
    result = at_end(small_dataset, tmp_path, store, "1")
    assert result["report"] is None
    assert result["report_parts_left_out"] == [{"part": "report", "reason": "making it failed (KeyError: 'oops')"}]


def test_a_fine_tuning_run_is_reported_again(small_dataset: ShardedDataset, store: str, tmp_path: Path):
    """From its folder alone, into its folder; a data set that became another one is not described."""
    run_id = runs.start_run(store, "rspnet", "tuned", {}, {})
    confusion = {"classes": ["class_0", "class_1"], "num_videos": [[3, 1], [0, 4]]}
    runs.log_json(store, run_id, confusion, "confusion_matrix.json")
    folder = tmp_path / "tuned"
    sha256 = small_dataset.description.manifest_sha256
    config = {"recipe": "tiny", "test.num_clips_per_crop": 10, "data.shards": small_dataset.uri, "tracking.uri": store}
    RunRecord(stage="finished", mlflow_run_id=run_id, dataset_sha256=sha256, config=config).save(str(folder))
    metrics = {"test_top1": 0.875, "test_top1_of_most_frequent_class": 0.5, "num_test_videos": 8}
    result = {"metrics": {f"finetune/{name}": value for name, value in metrics.items()}, "protocol": "p"}
    (folder / "result.json").write_text(json.dumps(result))
    asked = ReportConfig(run=str(folder), tracking=TrackingConfig(uri=store))
    drawn = draw_report(asked)
    assert [part["part"] for part in drawn["parts_left_out"]] == ["curves"]
    page = (folder / "report.html").read_text()
    assert drawn["num_bytes"] == len(page.encode())
    assert "87.5% right" in page
    RunRecord(stage="finished", mlflow_run_id=run_id, dataset_sha256="0" * 64, config=config).save(str(folder))
    [_, missing] = draw_report(asked)["parts_left_out"]
    assert missing["part"] == "data"
    assert "holds another data set" in missing["reason"]
