"""Who is found, what a thumbnail shows, and a page that strangers' names cannot break."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos, evaluate_retrieval
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.frame_readers import IndexedReader
from rspnet_platform.visualise import gallery, thumbnails
from rspnet_platform.visualise.chosen_videos import ChosenVideo, choose_videos, read_videos
from rspnet_platform.visualise.gallery import Gallery, draw_gallery, render_page
from rspnet_platform.visualise.nearest_videos import Neighbour, Search, find_neighbours
from rspnet_platform.visualise.part_configs import MAX_NUM_THUMBNAILS, DataChoice, GalleryConfig
from rspnet_platform.visualise.retrieval_table import (
    RetrievalRow,
    RetrievalTable,
    render_retrieval_table,
    retrieval_table,
)
from rspnet_platform.visualise.thumbnails import MAX_NUM_BYTES, Thumbnail, encode_webp, make_thumbnail

from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS, RetrievalProtocol
from tests.core.tiny_tasks import CONFIGS
from tests.damaged_dataset import damage_videos
from tests.task_checkpoint import smaller, write_checkpoint
from tests.videos import encode_video, numbered_pictures

PROTOCOL = RetrievalProtocol(name="t", description="t", pooling="average", top_k=(1, 2))


def angles(*degrees: float) -> np.ndarray:
    """Unit vectors in a plane."""
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def labelled(
    labels: list[int],
    is_query: list[bool] | None,
    indices: list[int] | None = None,
    sources: list[str | None] | None = None,
) -> LabelledVideos:
    """Of the splits train and test, or of none."""
    splits = [None] * len(labels) if is_query is None else ["test" if each else "train" for each in is_query]
    columns: dict[str, Any] = {
        "video_index": indices or list(range(len(labels))),
        "label": [f"class {label}" for label in labels],
        "split": splits,
        "source": sources or [None] * len(labels),
    }
    dataset: Any = SimpleNamespace(videos=pa.table(columns))
    videos = LabelledVideos.from_dataset(dataset)
    assert videos is not None
    return videos


def test_queries_find_their_nearest_gallery_videos():
    """By angle: of 10 to 13, the gallery is 11 (0 degrees, class 0) and 13 (90, class 1). Query 10 at 30 degrees, of
    class 1, finds 11 first, which is wrong; query 12 at 80 finds 13, which is right."""
    videos = labelled([1, 0, 1, 1], [True, False, True, False], [10, 11, 12, 13])
    features = DatasetFeatures(video_indices=np.arange(10, 14), features={"trained": angles(30, 0, 80, 90)})
    found = find_neighbours(Search.of(videos, features), features, "trained", PROTOCOL, num_nearest=2)
    assert {query: [(each.video_index, each.is_hit) for each in row] for query, row in found.items()} == {
        10: [(11, False), (13, True)],
        12: [(13, True), (11, False)],
    }
    assert found[10][0].cosine == pytest.approx(np.cos(np.radians(30)), abs=1e-6)


def test_without_splits_no_video_finds_itself():
    """Each is looked for among all others."""
    features = DatasetFeatures(video_indices=np.arange(3), features={"trained": angles(0, 10, 90)})
    search = Search.of(labelled([0, 1, 0], None), features)
    found = find_neighbours(search, features, "trained", PROTOCOL, num_nearest=2)
    assert {query: [each.video_index for each in row] for query, row in found.items()} == {
        0: [1, 2],
        1: [0, 2],
        2: [1, 0],
    }
    with pytest.raises(ValueError, match="num_nearest is 3; accepted are 1 to the 2 videos"):
        find_neighbours(search, features, "trained", PROTOCOL, num_nearest=3)


def test_without_splits_no_video_of_the_same_source_is_found():
    """As retrieval is scored: the nearest of the same source does not come."""
    features = DatasetFeatures(video_indices=np.arange(3), features={"trained": angles(0, 10, 90)})
    search = Search.of(labelled([0, 1, 0], None, sources=["s", "s", None]), features)
    found = find_neighbours(search, features, "trained", PROTOCOL, num_nearest=1)
    assert [found[query][0].video_index for query in range(3)] == [2, 2, 1]
    with pytest.raises(ValueError, match="num_nearest is 2; accepted are 1 to the 1 videos"):
        find_neighbours(search, features, "trained", PROTOCOL, num_nearest=2)


def test_damaged_videos_are_neither_query_nor_found():
    """Labels stay with their videos though one of each side has no features."""
    videos = labelled([0, 0, 1, 0, 1], [True, True, False, False, False])
    features = DatasetFeatures(video_indices=np.array([1, 3, 4]), features={"trained": angles(0, 10, 20)})
    found = find_neighbours(Search.of(videos, features), features, "trained", PROTOCOL, num_nearest=2)
    assert {query: [(each.video_index, each.is_hit) for each in row] for query, row in found.items()} == {
        1: [(3, True), (4, False)]
    }


@pytest.mark.parametrize("protocol", ["rspnet_code", "centred"])
@pytest.mark.parametrize("is_split", [True, False])
def test_marks_agree_with_the_numbers_on_the_page(protocol: str, is_split: bool):
    """The share of queries whose first, or any of the first five, is right is the scored top-1 and top-5."""
    generator = np.random.default_rng(0)
    features = DatasetFeatures(
        video_indices=np.arange(60), features={"trained": generator.normal(1, 1, (60, 4)).astype(np.float32)}
    )
    is_query = [index % 3 == 0 for index in range(60)] if is_split else None
    videos = labelled(generator.integers(0, 4, 60).tolist(), is_query)
    rule = RETRIEVAL_PROTOCOLS[protocol]
    found = find_neighbours(Search.of(videos, features), features, "trained", rule, num_nearest=5)
    scored = evaluate_retrieval(videos, features, rule)["trained"]
    assert len(found) == scored.num_queries
    for k in (1, 5):
        hits = [any(each.is_hit for each in row[:k]) for row in found.values()]
        assert np.mean(hits) == pytest.approx(scored.accuracy[k])


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """A video of 24 frames at 12 a second, each as grey as its number times ten."""
    folder = tmp_path_factory.mktemp("numbered")
    (folder / "videos").mkdir()
    pictures = numbered_pictures(24, height=64, width=256)
    (folder / "videos" / "a.mp4").write_bytes(encode_video(pictures, rate=12))
    config = IngestConfig(source=str(folder / "videos"), output=str(folder / "shards"), short_side=64)
    return open_dataset(ingest(config).output)


def test_a_thumbnail_runs_through_the_whole_video_at_its_pace(numbered: ShardedDataset):
    """16 of 24 frames, the middles of as many parts, in 2 seconds; wide pictures get lower; it repeats for ever."""
    [(_, encoded)] = read_videos(numbered, choose_videos(numbered, "all", video_ids=(), num_videos=1, seed=0))
    thumbnail = make_thumbnail(encoded, IndexedReader())
    image: Any = Image.open(io.BytesIO(base64.b64decode(thumbnail.webp_base64)))
    assert (image.format, image.size, image.n_frames) == ("WEBP", (160, 40), 16)
    assert (thumbnail.width, thumbnail.height) == (160, 40)
    greys, durations = [], []
    for place in range(image.n_frames):
        image.seek(place)
        greys.append(np.asarray(image.convert("RGB")).mean())
        durations.append(image.info["duration"])
    assert image.info["loop"] == 0
    assert durations == [125] * 16
    expected = [10.0 * ((2 * place + 1) * 24 // 32) for place in range(16)]
    np.testing.assert_allclose(greys, expected, atol=4)


def test_a_thumbnail_keeps_to_its_size():
    """Noise that no quality makes small is shown with fewer frames at the same pace."""
    noise = list(np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), np.uint8))
    small = encode_webp(noise, milliseconds=50)
    assert len(small) <= MAX_NUM_BYTES
    tiny: Any = Image.open(io.BytesIO(encode_webp(noise, milliseconds=50, max_num_bytes=len(small) // 3)))
    assert 1 < tiny.n_frames < 8
    tiny.load()
    assert tiny.info["duration"] == 50 * 8 / tiny.n_frames
    plain = [np.full((96, 128, 3), place, np.uint8) for place in range(4)]
    assert thumbnails._encode(plain, 60, 40) == encode_webp(plain, milliseconds=40)


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


HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def invented_page(video_id: str, label: str | None) -> Gallery:
    """One query, for which the model finds a right and a wrong video, and random two wrong ones; the last cannot be
    read."""
    videos = {
        index: ChosenVideo(
            video_index=index,
            video_id=f"{video_id}{index}",
            label=label,
            frames_per_second=25.0,
            location=("s", 0, index),
        )
        for index in range(4)
    }
    return Gallery(
        num_queries=1,
        num_gallery=3,
        queries=[videos[0]],
        found={
            "this model": {0: [Neighbour(video_index=1, cosine=0.9, is_hit=True), neighbour(2)]},
            "random initialisation": {0: [neighbour(2), neighbour(3)]},
        },
        videos=videos,
        thumbnails={index: Thumbnail(webp_base64="AAAA", width=8, height=8) for index in range(3)},
    )


def page_with(gallery: Gallery, name: str = "model") -> str:
    row = RetrievalRow(k=1, share=1.0, random_mean=0.25, random_std=0.125)
    table = RetrievalTable(rows=[row], num_queries=1, num_gallery=3, num_random=2, skipped=(5, 10), protocol=name)
    return render_page(name, name, render_retrieval_table(table), gallery)


def neighbour(index: int) -> Neighbour:
    return Neighbour(video_index=index, cosine=0.5, is_hit=False)


def test_the_table_stands_the_model_beside_random_initialisations():
    """Shares of the same queries, over the random ones the mean and the sample's deviation (of 0 and 0.5, as of 0.5
    and 1, the root of 2 x 0.25^2 / 1), what was not asked, in that order."""
    videos = labelled([0, 0, 1, 1, 0], [True, False, True, False, False])
    features = DatasetFeatures(
        video_indices=np.arange(5),
        features={
            "trained": angles(0, 5, 90, 95, 50),
            "random_0": angles(0, 90, 90, 0, 100),
            "random_1": angles(0, 5, 0, 50, 100),
        },
    )
    rule = RetrievalProtocol(name="t", description="t", pooling="average", top_k=(1, 2, 5))
    table = retrieval_table(evaluate_retrieval(videos, features, rule), "stamp")
    assert [(row.k, row.share, row.random_mean, row.random_std) for row in table.rows] == [
        (1, 1.0, 0.25, pytest.approx(0.125**0.5)),
        (2, 1.0, 0.75, pytest.approx(0.125**0.5)),
    ]
    assert (table.num_queries, table.num_gallery, table.num_random, table.skipped) == (2, 3, 2, (5,))
    text = "".join(Tags(str(render_retrieval_table(table))).text.split())
    assert "1100.0%25.0%±35.4%+75.0points2100.0%75.0%±35.4%+25.0points" in text
    assert "2queriesamong3videos;2randominitialisations,mean±thesample’sstandarddeviation(n-1)." in text
    assert "forlackofvideos:top-5." in text
    alone = replace(features, features={name: features.features[name] for name in ("trained", "random_1")})
    text = str(render_retrieval_table(retrieval_table(evaluate_retrieval(videos, alone, rule), "stamp")))
    assert "1 random initialisation" in text
    assert "±" not in text


def test_right_and_wrong_are_marked_in_their_rows():
    """In order: the query, then the model's right and wrong one, then two wrong ones of the random initialisation."""
    page = Tags(page_with(invented_page("video_", "walk")))
    figures = [attributes.get("class") for tag, attributes in page.tags if tag == "figure"]
    assert figures == [None, "right", "wrong", "wrong", "wrong"]
    pictures = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert pictures == ["video_0", "video_1", "video_2", "video_2"]
    assert page.text.count("cannot be read") == 1
    assert "✓ 0.900" in page.text
    assert page.text.count("✗ 0.500") == 3


def test_names_of_strangers_cannot_break_the_page():
    """They stay text; nothing is loaded from anywhere and nothing could run."""
    content = page_with(invented_page(HOSTILE, HOSTILE), HOSTILE)
    page = Tags(content)
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "link", "a", "video", "form"}
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert {str(attributes["src"])[:22] for tag, attributes in page.tags if tag == "img"} == {"data:image/webp;base64"}
    assert HOSTILE[:10] in page.text
    assert "default-src 'none'" in content
    assert "http" not in content.replace("http-equiv", "")


def test_without_labels_nothing_is_right_or_wrong():
    """Each video among all others, its neighbours without a mark."""
    features = DatasetFeatures(video_indices=np.array([3, 5, 8]), features={"trained": angles(0, 10, 90)})
    search = Search.without_labels(features)
    found = find_neighbours(search, features, "trained", PROTOCOL, num_nearest=1)
    assert {query: [(each.video_index, each.is_hit) for each in row] for query, row in found.items()} == {
        3: [(5, None)],
        5: [(3, None)],
        8: [(5, None)],
    }
    invented = invented_page("video_", None)
    unmarked = {"this model": {0: [Neighbour(video_index=1, cosine=0.9, is_hit=None)]}}
    page = Tags(page_with(replace(invented, found=unmarked, is_labelled=False)))
    assert [attributes.get("class") for tag, attributes in page.tags if tag == "figure"] == [None, None]
    assert not {"✓", "✗"} & set(page.text)


def test_a_video_without_a_label_says_so():
    """Nothing is called None."""
    text = Tags(page_with(invented_page("video_", None))).text
    assert "no label" in text
    assert "None" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "vcop"},
        {"protocol": "nothing"},
        {"num_queries": 0},
        {"num_nearest": 0},
        {"num_queries": MAX_NUM_THUMBNAILS // 11 + 1, "num_nearest": 5},
    ],
)
def test_what_no_page_can_show_is_refused(changes: dict[str, Any]):
    """Before anything is loaded, with what would be accepted."""
    with pytest.raises(ValueError, match="accepted"):
        GalleryConfig(**({"model": "m", "data": DataChoice(shards="d"), "output": "o"} | changes))


def test_a_data_set_without_labels_is_refused(numbered: ShardedDataset, tmp_path: Path):
    with pytest.raises(ValueError, match="it needs labels"):
        draw_gallery(
            GalleryConfig(model="random:tiny", data=DataChoice(shards=numbered.uri), output=str(tmp_path / "page"))
        )


def test_a_gallery_of_too_few_videos_is_refused_at_once(small_dataset: ShardedDataset, tmp_path: Path):
    """Before anything is embedded: not even the model is looked for."""
    data, output = DataChoice(shards=small_dataset.uri), str(tmp_path / "page")
    with pytest.raises(ValueError, match="num_nearest is 24; accepted are 1 to the 23 videos"):
        draw_gallery(GalleryConfig(model="nobody", data=data, output=output, num_queries=1, num_nearest=24))


@pytest.mark.slow
def test_a_page_of_a_run(small_dataset: ShardedDataset, tmp_path: Path):
    """A checkpoint's encoder, a data set with a damaged video, a real Ray: one HTML file with as many videos as asked
    for, and the numbers of the same search."""
    config = smaller(CONFIGS["rspnet"])
    write_checkpoint(tmp_path / "model", config, changes={"data.shards": small_dataset.uri})
    damaged = damage_videos(small_dataset, tmp_path / "damaged", {5})
    asked = GalleryConfig(
        model=str(tmp_path / "model"),
        data=DataChoice(shards=damaged),
        output=str(tmp_path / "page"),
        num_queries=4,
        num_nearest=3,
    )
    result = draw_gallery(asked)
    assert (result["num_damaged"], result["num_queries_shown"], result["files"]) == (1, 4, [gallery.PAGE_NAME])
    page = Tags((tmp_path / "page" / gallery.PAGE_NAME).read_text())
    figures = [attributes.get("class") for tag, attributes in page.tags if tag == "figure"]
    assert len(figures) == 4 * (1 + 2 * 3)
    told = [each["is_hit"] for rows in result["nearest"].values() for row in rows.values() for each in row]
    assert [figure == "right" for figure in figures if figure] == told
    assert 0 < result["metrics"]["validation/retrieval_top5"] <= 1
    assert "each video against all others" in result["protocol"]
