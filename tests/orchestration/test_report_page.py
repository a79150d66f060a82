"""A run's page: the right numbers in their places, strangers' names as text, and why a part is missing."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos
from rspnet_platform.report import pretraining_report
from rspnet_platform.report.evaluated_run import EvaluatedRun
from rspnet_platform.report.finetuning_report import report_finetuning
from rspnet_platform.report.page_parts import Report
from rspnet_platform.report.pretraining_report import ReportSources, report_pretraining
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.run_history import MetricCurve, RunHistory, read_run_history
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.visualise.frozen_features import FrozenFeatures
from rspnet_platform.visualise.recorded_run import RecordedRun

from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS
from tests.core.tiny_tasks import CONFIGS
from tests.task_checkpoint import smaller, write_checkpoint

HOSTILE = "\"'><script>alert(1)</script><img src=http://evil.example/x onerror=alert(1)>"
CONFIG = {
    "recipe": "tiny_cpu",
    "task.encoder": "tiny",
    "task.temperature": 0.2,
    "training.seed": 7,
    "training.num_epochs": 3,
    "training.global_batch_size": 8,
    "run.name": "first",
    "data.split": "train",
    "tracking.uri": "postgresql://me:hunter2@db/rspnet",
}


class Page(HTMLParser):
    """All tags with their attributes, rows of tables as text, and the text of each section by its heading's id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.sections: dict[str, str] = {"": ""}
        self._section, self._in_cell = "", False
        self.feed(html)
        self.rows = [[" ".join(cell.split()) for cell in row] for row in self.rows]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "h2":
            self._section = str(dict(attrs)["id"])
            self.sections[self._section] = ""
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._in_cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.sections[self._section] += data
        if self._in_cell:
            self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """The first that begins so."""
        return next(row[1:] for row in self.rows if row and row[0] == name)


def history() -> RunHistory:
    """Of 20 steps, of which the last 5 were repeated; it took 90 seconds."""
    steps = np.arange(1, 21)
    curves = {
        "train/loss": MetricCurve(steps=steps, values=np.linspace(3.0, 1.0, 20), num_repeated=5),
        "throughput/clips_per_second": MetricCurve(steps=steps, values=np.full(20, 16.0)),
        "time/step_fraction": MetricCurve(steps=steps, values=np.full(20, 0.75)),
        "data/num_damaged_videos": MetricCurve(steps=steps[-1:], values=np.array([2.0])),
    }
    return RunHistory(
        run_id="abc123",
        name="first",
        status="FINISHED",
        began_seconds=1_000_000.0,
        ended_seconds=1_000_090.0,
        params={},
        tags={"code_commit": "c0ffee"},
        curves=curves,
    )


def recorded(folder: Path, *, method: str | None = "rspnet", recipe: Mapping[str, Any] | None = None) -> RecordedRun:
    """A run whose checkpoint lies in `folder`, gone on with once."""
    record = RunRecord(
        stage="finished", mlflow_run_id="abc123", dataset_sha256="0" * 64, config=dict(CONFIG), num_resumes=1
    )
    return RecordedRun(
        uri=str(folder / "first"),
        tracking_uri="sqlite:///nowhere.db",
        record=record,
        config=record.config,
        recipe=recipe,
        method=method,
        clips_per_step=16,
        checkpoint=None if method is None else str(folder / "checkpoint"),
    )


def evaluated(dataset: ShardedDataset) -> EvaluatedRun:
    """The model tells the two folders of videos apart, almost surely; two random encoders tell nothing."""
    videos = dataset.videos.sort_by("video_index")
    classes = [int(video_id.startswith("class_1")) for video_id in videos["video_id"].to_pylist()]
    generator = np.random.default_rng(0)
    trained = np.eye(2)[classes] + generator.normal(0, 0.01, (len(videos), 2))
    features = DatasetFeatures(
        video_indices=videos["video_index"].to_numpy(),
        features={
            "trained": trained.astype(np.float32),
            "random_0": generator.normal(0, 1, (len(videos), 2)).astype(np.float32),
            "random_1": generator.normal(0, 1, (len(videos), 2)).astype(np.float32),
        },
    )
    protocol = RETRIEVAL_PROTOCOLS["rspnet_paper"]
    frozen = FrozenFeatures(features=features, model="first", protocol=protocol, stamp="rspnet_paper: s", num_damaged=0)
    return EvaluatedRun.of(frozen, LabelledVideos.from_dataset(dataset))


def made(run: RecordedRun, dataset: ShardedDataset) -> Report:
    return report_pretraining(
        ReportSources(run=run, dataset=lambda: dataset, history=history, evaluated=evaluated, seed=0)
    )


def with_labels(dataset: ShardedDataset, labels: Sequence[str | None]) -> ShardedDataset:
    place = dataset.videos.column_names.index("label")
    names = tuple(sorted({label for label in labels if label is not None}))
    return replace(
        dataset,
        videos=dataset.videos.set_column(place, "label", pa.array(labels, pa.string())),
        description=replace(dataset.description, class_names=names),
    )


@pytest.fixture(scope="module")
def rspnet_run(small_dataset: ShardedDataset, tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    """Its checkpoint has heads for the RoI maps."""
    folder = tmp_path_factory.mktemp("rspnet_run")
    write_checkpoint(folder / "checkpoint", smaller(CONFIGS["rspnet"]), changes={"data.shards": small_dataset.uri})
    return recorded(folder, recipe={**CONFIG, "task.temperature": 0.07, "run.name": None})


@pytest.fixture(scope="module")
def report(rspnet_run: RecordedRun, small_dataset: ShardedDataset) -> Report:
    return made(rspnet_run, small_dataset)


def test_the_page_of_a_run_holds_its_numbers(report: Report, small_dataset: ShardedDataset):
    """Scored, counted and looked up, each in its row; every part is there."""
    page = Page(report.html)
    assert report.left_out == ()
    assert list(page.sections) == ["", "retrieval", "curves", "gallery", "confusion", "roi", "map", "data", "config"]
    results = evaluated(small_dataset).results
    trained = results["trained"].accuracy[1]
    random = [results[f"random_{seed}"].accuracy[1] for seed in range(2)]
    found = page.row("1")
    assert found[0] == f"{trained:.1%}" == "100.0%"
    assert found[1] == f"{np.mean(random):.1%} ± {np.std(random, ddof=1):.1%}"
    assert page.row("steps") == ["20, of 8 videos each; 3 epochs"]
    assert page.row("from begin to end") == ["1 min 30 s"]
    assert (page.row("resumed"), page.row("code"), page.row("status")) == (["once"], ["c0ffee"], ["finished"])
    assert page.row("damaged since") == ["2"]
    assert page.row("videos")[0].startswith("24 of 480 frames")
    assert page.row("identity") == [small_dataset.description.manifest_sha256]
    assert page.row("train/loss") == ["1", "20"]
    assert page.row("class_0") == ["12", "12", ""]
    assert "5 logged steps were trained again" in page.sections["curves"]
    step = next(row for row in page.rows if row and row[0].startswith("step forward"))
    assert step[1:] == ["75.0%", "15 s"]  # three quarters of 20 steps of 16 clips at 16 clips a second
    assert "24 videos of 2 classes" in " ".join(page.sections["confusion"].split())
    assert f"{trained:.1%} right" in page.sections["confusion"]
    assert len(report.html) < 15_000_000


def test_what_differs_from_the_recipe_is_marked(report: Report):
    """The changed value alone: names are every run's own. A password is nowhere on the page."""
    page = Page(report.html)
    assert page.row("task.temperature") == ["0.2 recipe: 0.07"]
    assert len([attributes for tag, attributes in page.tags if attributes.get("class") == "changed"]) == 1
    assert "hunter2" not in report.html


def test_it_needs_no_network(report: Report):
    """Pictures lie inside, links lead to places on the page, nothing runs, and a policy forbids all else."""
    page = Page(report.html)
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert len(sources) >= 3 + 12
    assert all(str(source).startswith("data:image/webp;base64,") for source in sources)
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    links = [str(attributes["href"]) for _, attributes in page.tags if "href" in attributes]
    assert len(links) == 8
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "embed", "form", "base"}
    assert "url(" not in report.html
    assert "default-src 'none'" in report.html


def test_names_of_strangers_stay_text(rspnet_run: RecordedRun, small_dataset: ShardedDataset):
    """A class that is called like a script, in the gallery, the matrix, the map and the table of classes."""
    labels = [HOSTILE if index % 2 else "b" for index in range(24)]
    hostile = made(replace(rspnet_run, config={**CONFIG, "recipe": HOSTILE}), with_labels(small_dataset, labels))
    page = Page(hostile.html)
    assert hostile.left_out == ()
    assert not {tag for tag, _ in page.tags} & {"script", "iframe"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(str(attributes["src"]).startswith("data:") for tag, attributes in page.tags if tag == "img")
    for section in ("gallery", "confusion", "data", "config"):
        assert "<script>" in page.sections[section], section


def test_a_data_set_without_labels_has_a_report(rspnet_run: RecordedRun, small_dataset: ShardedDataset):
    """Curves, nearest videos without marks, RoI maps and the map; what needs labels says so."""
    report = made(rspnet_run, with_labels(small_dataset, [None] * 24))
    assert [part["part"] for part in report.left_out] == ["retrieval", "confusion"]
    page = Page(report.html)
    assert "no labels" in page.sections["confusion"]
    assert "Not compared with random initialisation" in page.sections[""]
    assert page.row("classes") == ["no labels"]
    assert not [attributes for _, attributes in page.tags if attributes.get("class") in ("right", "wrong")]
    figures = [attributes for tag, attributes in page.tags if tag == "figure"]
    assert len(figures) == 12 * (1 + 2 * 5) + 3


def test_what_is_missing_says_why_in_its_place(small_dataset: ShardedDataset, tmp_path: Path):
    """A tracking server that is away, a data set that is gone, a run without a checkpoint: the rest is there."""

    def away() -> RunHistory:
        raise ConnectionError("no answer from the tracking store")

    def gone() -> ShardedDataset:
        raise ValueError("is not a data set")

    run = recorded(tmp_path, method=None)
    report = report_pretraining(
        ReportSources(run=run, dataset=lambda: small_dataset, history=away, evaluated=evaluated, seed=0)
    )
    reasons = {part["part"]: part["reason"] for part in report.left_out}
    assert reasons == {"curves": "no answer from the tracking store", "roi": "the run has no checkpoint yet"}
    page = Page(report.html)
    assert "Not here: no answer from the tracking store" in page.sections["curves"]
    assert page.row("steps")[0].startswith("not known")
    assert "was not kept with this run" in " ".join(page.sections["config"].split())
    lost = report_pretraining(ReportSources(run=run, dataset=gone, history=history, evaluated=evaluated, seed=0))
    parts = [part["part"] for part in lost.left_out]
    assert parts == ["retrieval", "gallery", "confusion", "roi", "map", "data"]
    assert "is not a data set" in Page(lost.html).sections["data"]
    assert 'class="smooth' in lost.html


def test_a_method_without_heads_says_so(small_dataset: ShardedDataset, tmp_path: Path):
    """There is nothing to map where no two clips are compared."""
    write_checkpoint(tmp_path / "checkpoint", smaller(CONFIGS["pace"]), changes={"data.shards": small_dataset.uri})
    report = made(recorded(tmp_path, method="pace"), small_dataset)
    [part] = report.left_out
    assert part["part"] == "roi"
    assert "compares no two clips" in part["reason"]


def test_a_fault_of_ours_costs_one_part(
    rspnet_run: RecordedRun,
    small_dataset: ShardedDataset,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """It is listed, said with its traceback, and the other parts are there."""

    def fails(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(pretraining_report, "make_roi_sheets", lambda *_, **__: fails())
    report = made(rspnet_run, small_dataset)
    [part] = report.left_out
    assert part == {"part": "roi", "reason": "making it failed (KeyError: 'oops')"}
    assert "in fails" in capsys.readouterr().err
    assert "100.0% right" in Page(report.html).sections["confusion"]


def test_a_fine_tuning_run_shows_its_test(empty_database: Path, small_dataset: ShardedDataset, tmp_path: Path):
    """Scores with their protocol, curves and the test's confusion out of MLflow; what is not there yet says so."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run_id = runs.start_run(store, "rspnet", "tuned", {}, {})
    for step in (1, 2):
        runs.log_metrics_once(store, run_id, step, {"train/loss": 2.0 / step})
    run = replace(
        recorded(tmp_path, method="recognition"),
        tracking_uri=store,
        record=RunRecord(stage="trained", mlflow_run_id=run_id, dataset_sha256="0", config=dict(CONFIG)),
    )

    def make() -> Report:
        return report_finetuning(run, lambda: small_dataset, lambda: read_run_history(store, run_id))

    before = make()
    assert [part["part"] for part in before.left_out] == ["scores", "confusion"]
    assert "has not been tested yet" in Page(before.html).sections["scores"]
    confusion = {"classes": ["run", "walk"], "rows": "true class", "num_videos": [[6, 2], [0, 2]]}
    runs.log_json(store, run_id, confusion, "confusion_matrix.json")
    metrics = {"test_top1": 0.8, "test_top1_of_most_frequent_class": 0.2, "num_test_videos": 10.0, "chosen_epoch": 3}
    result = {"metrics": {f"finetune/{name}": value for name, value in metrics.items()}, "protocol": "10 clips"}
    Path(run.uri).mkdir()
    Path(run.uri, "result.json").write_text(json.dumps(result))
    after = make()
    assert after.left_out == ()
    page = Page(after.html)
    assert list(page.sections) == ["", "scores", "curves", "confusion", "data", "config"]
    assert page.row("top-1 on the test videos")[0] == "80.0%"
    assert "10 clips" in page.sections["scores"]
    assert "80.0% right" in page.sections["confusion"]
    assert page.row("run")[:3] == ["walk", "2", "25.0%"]
    assert "Above a constant answer: test top-1 80.0% on 10 videos" in page.sections[""]
