"""The report of one fine-tuning run: its scores on the test videos in the place of retrieval."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from rspnet_platform import storage
from rspnet_platform.report.page_parts import Report, make_part, try_to
from rspnet_platform.report.pretraining_report import closing_parts, curves_part, page
from rspnet_platform.report.verdict import Verdict, recognition_verdict
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.run_history import RunHistory, read_json_artifact
from rspnet_platform.visualise.confusion import ConfusionMatrix
from rspnet_platform.visualise.confusion_picture import render_confusion
from rspnet_platform.visualise.page_shell import render_fragment
from rspnet_platform.visualise.recorded_run import RecordedRun

RESULT, CONFUSION = "result.json", "confusion_matrix.json"
HOW = "Each test video is given its most probable class."
NAMES = {
    "finetune/test_top1": "top-1 on the test videos",
    "finetune/test_top5": "top-5 on the test videos",
    "finetune/test_mean_class_accuracy": "mean over the classes' accuracies",
    "finetune/test_top1_of_most_frequent_class": "top-1 of always answering the most frequent class",
    "finetune/validation_top1": "top-1 on the validation videos, which chose the epoch",
}


def report_finetuning(
    run: RecordedRun, dataset: Callable[[], ShardedDataset], history: Callable[[], RunHistory]
) -> Report:
    """Everything on one page; never raises for what a part cannot do."""
    known, why = try_to("history", history)
    result, no_result = try_to("result", lambda: read_result(run))
    dataset_or_reason = try_to("dataset", dataset)
    sections = [
        make_part("scores", "Scores", lambda: render_scores(needed(result, no_result))),
        make_part("curves", "Curves", lambda: curves_part(needed(known, why), run)),
        make_part("confusion", "Confusion", lambda: render_confusion(read_confusion(run), HOW)),
        *closing_parts(dataset_or_reason, run),
    ]
    return page(run, dataset_or_reason[0], known, verdict_of(result, no_result), sections)


def needed(value: Any, reason: str) -> Any:
    if value is None:
        raise ValueError(reason)
    return value


def read_result(run: RecordedRun) -> Mapping[str, Any]:
    """What the run says of itself at its end. Raises ValueError for one that has not come so far."""
    uri = storage.join(run.uri, RESULT)
    if not storage.exists(uri):
        raise ValueError("the run has not been tested yet")
    return storage.read_json(uri)


def read_confusion(run: RecordedRun) -> ConfusionMatrix:
    """Of the test videos, out of MLflow."""
    content = read_json_artifact(run.tracking_uri, run.mlflow_run_id, CONFUSION)
    return ConfusionMatrix(
        class_names=tuple(content["classes"]), counts=np.array(content["num_videos"], dtype=np.int64)
    )


def verdict_of(result: Mapping[str, Any] | None, reason: str) -> Verdict:
    if result is None:
        return Verdict(kind="unknown", sentence="Not tested.", detail=reason)
    metrics = result["metrics"]
    return recognition_verdict(
        metrics["finetune/test_top1"],
        metrics["finetune/test_top1_of_most_frequent_class"],
        int(metrics["finetune/num_test_videos"]),
    )


def render_scores(result: Mapping[str, Any]) -> Markup:
    metrics = result["metrics"]
    return render_fragment(
        "scores.html.jinja",
        "rspnet_platform.report",
        shares=[(words, metrics[name]) for name, words in NAMES.items() if name in metrics],
        others=[(name, value) for name, value in sorted(metrics.items()) if name not in NAMES],
        protocol=result["protocol"],
    )
