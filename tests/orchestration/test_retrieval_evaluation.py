"""Who is looked for among whom, on constructed features where the answer is known."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.frozen_evaluation_scores import score
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos, evaluate_retrieval, retrieval_metrics

from rspnet_core.evaluation.probe_protocols import NEAREST_NEIGHBOURS
from rspnet_core.evaluation.retrieval_protocol import RetrievalProtocol

PROTOCOL = RetrievalProtocol(name="t", description="t", pooling="average", top_k=(1, 2))
ANGLES = np.array([0.0, 1.5, 0.1, 1.4, 0.2])
"""Two bundles of directions: videos 0, 2 and 4, and videos 1 and 3."""


def dataset(
    labels: Sequence[str | None], splits: Sequence[str | None], sources: Sequence[str | None] | None = None
) -> Any:
    """Its rows in an order that is not the videos'."""
    table = pa.table(
        {"video_index": range(len(labels)), "label": labels, "split": splits, "source": sources or [None] * len(labels)}
    )
    return SimpleNamespace(videos=table.take(list(range(len(labels)))[::-1]))


def features(indices: list[int], **names: np.ndarray) -> DatasetFeatures:
    vectors = {name: np.stack([np.cos(a), np.sin(a)], axis=1).astype(np.float32) for name, a in names.items()}
    return DatasetFeatures(video_indices=np.array(indices), features=vectors)


def top1(labelled: LabelledVideos | None, found: DatasetFeatures) -> tuple[float, int, int]:
    assert labelled is not None
    result = evaluate_retrieval(labelled, found, PROTOCOL)["trained"]
    return round(result.accuracy[1], 6), result.num_queries, result.num_gallery


def test_test_videos_look_among_train_videos_alone():
    """Query 4 of class a finds video 2, and query 3 of class a finds video 1 of class b: one of two. Were the sides
    swapped there would be three queries."""
    labels = ["a", "b", "a", "a", "a"]
    data = dataset(labels, ["train", "train", "train", "test", "test"])
    assert top1(LabelledVideos.from_dataset(data), features([0, 1, 2, 3, 4], trained=ANGLES)) == (0.5, 2, 3)


def test_other_splits_and_unlabelled_videos_stay_out():
    """A validation video, and one of the gallery that nobody labelled."""
    labelled = LabelledVideos.from_dataset(dataset(["b", "a", "a", None], ["train", "val", "test", "train"]))
    assert labelled is not None
    assert labelled.video_indices.tolist() == [0, 2]
    assert top1(labelled, features([0, 2], trained=np.array([1.0, 0.0]))) == (0.0, 1, 1)


def test_without_splits_each_looks_among_all_others():
    """Never finding itself: video 1 and 3 find each other, and are of different classes."""
    data = dataset(["a", "b", "a", "c", "a"], [None] * 5)
    assert top1(LabelledVideos.from_dataset(data), features([0, 1, 2, 3, 4], trained=ANGLES)) == (0.6, 5, 4)


def test_without_splits_no_video_of_the_same_source_is_found():
    """Of the two that are of one source, the one's nearest other is video 1, and the other's is video 0, for video 2 is
    left out of both; class c is in that source alone."""
    data = dataset(["a", "b", "c", "b", "c"], [None] * 5, [None, None, "s", None, "s"])
    labelled = LabelledVideos.from_dataset(data)
    assert labelled is not None
    assert top1(labelled, features([0, 1, 2, 3, 4], trained=ANGLES)) == (0.4, 5, 3)
    assert labelled.num_without_class == 3
    assert "of other sources" in labelled.setting
    assert LabelledVideos.from_dataset(dataset(["a", "b"], [None] * 2, ["s", "s"])) is None


def test_knn_asks_no_video_of_the_same_source():
    """Votes are those of other sources alone: features that know the source, and nothing of the class."""
    sources = [f"s{index // 4}" for index in range(32)]
    labels = [f"class {index // 4 % 2}" for index in range(32)]
    labelled = LabelledVideos.from_dataset(dataset(labels, [None] * 32, sources))
    assert labelled is not None
    found = score(NEAREST_NEIGHBOURS, np.eye(8, dtype=np.float32)[np.arange(32) // 4], labelled, seed=0)
    assert found.notes["num_gallery"] == 28
    assert found.numbers["k5"] < 0.5


def test_a_damaged_video_has_no_features_and_is_missed():
    """Labels stay with their videos: without video 0, query 4 still finds video 2."""
    data = dataset(["b", "b", "a", "b", "a"], ["train", "train", "train", "test", "test"])
    assert top1(LabelledVideos.from_dataset(data), features([1, 2, 3, 4], trained=ANGLES[1:])) == (1.0, 2, 2)


@pytest.mark.parametrize(
    ("labels", "splits"),
    [([None, None, None], [None] * 3), (["a", None, None], [None] * 3), (["a", "a", None], ["train", "train", "test"])],
)
def test_too_few_labels_give_no_number(labels, splits):
    """Rather than one that means nothing."""
    assert LabelledVideos.from_dataset(dataset(labels, splits)) is None


def test_metrics_stand_beside_random_encoders():
    """The trained encoder's own, and of the others' 1 and 0 the mean 0.5 and the sample's deviation: the squares of
    0.5 and -0.5 make 0.5, over n - 1 = 1. One alone has none."""
    data = dataset(["a", "b", "a"], ["train", "train", "test"])
    right, wrong = np.array([0.0, 1.5, 0.1]), np.array([1.5, 0.0, 0.1])
    labelled = LabelledVideos.from_dataset(data)
    assert labelled is not None
    found = features([0, 1, 2], trained=wrong, random_0=right, random_1=wrong)
    metrics = retrieval_metrics(evaluate_retrieval(labelled, found, PROTOCOL))
    assert metrics["validation/retrieval_top1"] == 0.0
    assert metrics["validation/random_retrieval_top1_mean"] == 0.5
    assert metrics["validation/random_retrieval_top1_std"] == pytest.approx(0.5**0.5)
    alone = features([0, 1, 2], trained=wrong, random_0=right)
    metrics = retrieval_metrics(evaluate_retrieval(labelled, alone, PROTOCOL))
    assert metrics["validation/random_retrieval_top1_mean"] == 1.0
    assert "validation/random_retrieval_top1_std" not in metrics
