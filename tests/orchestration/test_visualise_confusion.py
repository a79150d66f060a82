"""Who is taken for whom: counts by hand, the picture of few and of many classes, names of strangers."""

from collections.abc import Sequence
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos, evaluate_retrieval
from rspnet_platform.visualise.confusion import ConfusedPair, ConfusionMatrix
from rspnet_platform.visualise.confusion_matrix import nearest_class_confusion
from rspnet_platform.visualise.confusion_picture import picture_of, render_confusion
from rspnet_platform.visualise.frozen_features import FrozenFeatures

from rspnet_core.evaluation.retrieval_protocol import RetrievalProtocol

PROTOCOL = RetrievalProtocol(name="t", description="t", pooling="average", top_k=(1, 2))
HOSTILE = "\"'><script>alert(1)</script>&"


def frozen(indices: list[int], degrees: list[float]) -> FrozenFeatures:
    """Features by their angle in a plane."""
    radians = np.radians(degrees)
    vectors = np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)
    features = DatasetFeatures(video_indices=np.array(indices), features={"trained": vectors})
    return FrozenFeatures(features=features, model="m", protocol=PROTOCOL, stamp="s", num_damaged=0)


def labelled(labels: Sequence[str], splits: Sequence[str | None]) -> LabelledVideos:
    columns = {"video_index": range(len(labels)), "label": labels, "split": splits, "source": [None] * len(labels)}
    dataset: Any = SimpleNamespace(videos=pa.table({name: list(values) for name, values in columns.items()}))
    videos = LabelledVideos.from_dataset(dataset)
    assert videos is not None
    return videos


def test_each_query_is_given_the_class_of_its_nearest_video():
    """The gallery: jump at 0 degrees, walk at 180, and a damaged run. Queries: jump at 10, which is right; run at 80,
    nearest to jump; walk at 100, right; walk at 85, taken for jump."""
    videos = labelled(["jump", "run", "walk", "walk", "run", "jump", "walk"], ["test"] * 4 + ["train"] * 3)
    features = frozen([0, 1, 2, 3, 5, 6], [10, 80, 100, 85, 0, 180])
    matrix = nearest_class_confusion(videos, features)
    assert matrix.class_names == ("jump", "run", "walk")
    np.testing.assert_array_equal(matrix.counts, [[1, 0, 0], [1, 0, 0], [1, 0, 1]])
    np.testing.assert_allclose(matrix.shares, [[1, 0, 0], [1, 0, 0], [0.5, 0, 0.5]])
    assert matrix.accuracy == 0.5
    assert matrix.pairs == [
        ConfusedPair(true_class="run", predicted_class="jump", count=1, share=1.0),
        ConfusedPair(true_class="walk", predicted_class="jump", count=1, share=0.5),
    ]


@pytest.mark.parametrize("is_split", [True, False])
def test_what_is_right_is_top_1(is_split: bool):
    """The diagonal's share is the retrieval table's number, whatever the features."""
    generator = np.random.default_rng(0)
    videos = labelled(
        [f"class {number}" for number in generator.integers(0, 4, 50)],
        [("test" if index % 3 else "train") if is_split else None for index in range(50)],
    )
    features = frozen(list(range(50)), generator.uniform(0, 360, 50).tolist())
    matrix = nearest_class_confusion(videos, features)
    scored = evaluate_retrieval(videos, features.features, PROTOCOL)["trained"]
    assert matrix.num_videos == scored.num_queries
    assert matrix.accuracy == pytest.approx(scored.accuracy[1])


def test_pairs_that_are_confused_most_come_first():
    """By number, then by share; right answers are none of them."""
    counts = np.array([[9, 2, 0], [1, 1, 2], [0, 0, 0]])
    matrix = ConfusionMatrix(class_names=("a", "b", "c"), counts=counts)
    assert [(pair.true_class, pair.predicted_class, pair.count) for pair in matrix.pairs] == [
        ("b", "c", 2),
        ("a", "b", 2),
        ("b", "a", 1),
    ]
    with pytest.raises(ValueError, match="accepted are 2 x 2"):
        ConfusionMatrix(class_names=("a", "b"), counts=counts)


class Tags(HTMLParser):
    """All tags with their attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if attributes.get("class") == name]


def test_a_cell_lies_in_the_row_of_its_class_and_the_column_of_the_answer():
    """Its strength grows with its share of the row; cells that hold nothing are not drawn."""
    matrix = ConfusionMatrix(class_names=("a", "b"), counts=np.array([[3, 1], [0, 2]]))
    page = Tags(render_confusion(matrix, "How."))
    hits, misses = page.of_class("hit"), page.of_class("miss")
    side = picture_of(matrix).cell
    assert [(float(str(hit["x"])) // side, float(str(hit["y"])) // side) for hit in hits] == [(0, 0), (1, 1)]
    assert [(float(str(miss["x"])) // side, float(str(miss["y"])) // side) for miss in misses] == [(1, 0)]
    assert [float(str(cell["fill-opacity"])) for cell in (*hits, *misses)] == pytest.approx([0.78, 1.0, 0.34])
    assert "6 videos of 2 classes" in page.text.replace("\n", " ")
    assert "83.3% right" in page.text


@pytest.mark.parametrize(
    ("num_classes", "has_counts", "widest"), [(9, True, 760), (51, True, 1200), (174, False, 2000)]
)
def test_few_and_many_classes_can_be_read(num_classes: int, has_counts: bool, widest: int):
    """Names are never smaller than 8 pixels; counts are written where they fit."""
    counts = np.eye(num_classes, dtype=int) * 3 + np.eye(num_classes, k=1, dtype=int)
    picture = picture_of(ConfusionMatrix(class_names=tuple(f"name {i}" for i in range(num_classes)), counts=counts))
    assert picture.has_counts is has_counts
    assert 8 <= picture.font_size <= picture.cell
    assert picture.width <= widest
    assert len(picture.cells) == 2 * num_classes - 1
    assert max(cell.x for cell in picture.cells) + picture.cell <= picture.side + 1


def test_names_of_strangers_stay_text():
    matrix = ConfusionMatrix(class_names=(HOSTILE, "b"), counts=np.array([[1, 1], [0, 1]]))
    page = Tags(render_confusion(matrix, "How."))
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe"}
    assert page.text.count("alert(1)") >= 4
