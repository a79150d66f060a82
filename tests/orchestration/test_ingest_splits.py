"""Splits that the folders of a source name, and those that an ingest draws where nothing does."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from rspnet_platform.ingest.base_version import NOTHING, BaseVersion
from rspnet_platform.ingest.drawn_split import with_drawn_split
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource, make_listing
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset

from tests.orchestration.test_ingest_pipeline import config_of, contents
from tests.orchestration.test_ingest_sources import touch
from tests.videos import encode_video, moving_pictures

SEED = 1
"""Draws no broken file for the test."""
A_CLASS_BESIDE_OTHERS = "'train', are not taken as splits"


@pytest.mark.parametrize(
    ("names", "found", "said"),
    [
        (
            ["train/a/1.mp4", "train/b/deep/2.mp4", "test/a/3.mp4"],
            [("a", "test"), ("a", "train"), ("b", "train")],
            "'test' as split test, 'train' as split train; the 2 classes are the folders below",
        ),
        (
            ["Training/a/1.mp4", "validation/a/2.mp4", "val/b/3.mp4"],
            [("a", "train"), ("b", "val"), ("a", "val")],
            "'Training' as split train, 'val' as split val, 'validation' as split val",
        ),
        (["train/1.mp4", "test/2.mp4"], [(None, "test"), (None, "train")], "there are no classes"),
        (["data/train/a/1.mp4", "data/test/b/2.mp4"], [("b", "test"), ("a", "train")], "the folders below"),
        (
            ["a/train/1.mp4", "a/test/2.mp4", "b/train/take_3/3.mp4"],
            [("a", "test"), ("a", "train"), ("b", "train")],
            "the 2 classes are the folders above",
        ),
        (
            ["0.mp4", "train/a/1.mp4"],
            [(None, None), ("a", "train")],
            "1 videos lie in no folder, and have no split",
        ),
        (["train/1.mp4", "bus/2.mp4"], [("bus", None), ("train", None)], A_CLASS_BESIDE_OTHERS),
        (["a/train/1.mp4", "a/2.mp4"], [("a", None), ("a", None)], A_CLASS_BESIDE_OTHERS),
        (["data/a/1.mp4", "data/b/2.mp4"], [("data", None), ("data", None)], "all labelled videos are of one class"),
        (["a/1.mp4", "b/2.mp4"], [("a", None), ("b", None)], ""),
    ],
)
def test_folders_named_as_splits_are_no_classes(
    tmp_path: Path, names: list[str], found: list[tuple[str | None, str | None]], said: str
) -> None:
    """At any depth, above or below the classes, where there is nothing else beside them; and the listing says so."""
    touch(tmp_path, *names)
    listing = list_videos(str(tmp_path))
    assert [(video.label, video.split) for video in listing.videos] == found
    assert len(listing.notes) == bool(said)
    assert said in "".join(listing.notes)


def test_splits_beside_classes_are_refused(tmp_path: Path) -> None:
    """Neither reading would be right: nothing is labelled `test` in silence."""
    touch(tmp_path, "train/a/1.mp4", "test/a/2.mp4", "more/3.mp4")
    with pytest.raises(ValueError, match="named as splits, 'test', 'train', beside others, 'more'; accepted: splits"):
        list_videos(str(tmp_path))


def listing_of(videos: Sequence[tuple[str | None, str | None]]) -> SourceListing:
    """Videos 0, 1, ... of these labels and sources."""
    entries = [
        VideoSource(path=f"/{index}", video_id=f"{index:04d}", label=label, source=source)
        for index, (label, source) in enumerate(videos)
    ]
    return make_listing("/", entries)


def base_of(listing: SourceListing, num_videos: int) -> BaseVersion:
    """A version that has the first videos of a listing."""
    rows = [vars(video) for video in listing.videos[:num_videos]]
    columns = {name: [row[name] for row in rows] for name in ("video_id", "label", "source", "split")}
    return BaseVersion(1, pa.table(columns), ())


def drawn(listing: SourceListing, base: BaseVersion = NOTHING, fraction: float = 0.25, seed: int = 0) -> SourceListing:
    return with_drawn_split(listing, base, fraction=fraction, seed=seed)[0]


def num_in_test(listing: SourceListing) -> Counter[str | None]:
    return Counter(video.label for video in listing.videos if video.split == "test")


def test_a_fraction_of_each_class_is_drawn_by_the_seed() -> None:
    """The nearest number, but at least one of each, and never the last one; of those without a label too."""
    videos = [(label, None) for label, number in (("a", 40), ("b", 8), ("c", 2), (None, 4)) for _ in range(number)]
    listing = drawn(listing_of(videos))
    assert num_in_test(listing) == {"a": 10, "b": 2, "c": 1, None: 1}
    assert listing == drawn(listing_of(videos))
    assert listing != drawn(listing_of(videos), seed=1)
    assert {video.split for video in listing.videos} == {"train", "test"}


@pytest.mark.parametrize("seed", range(5))
def test_a_source_is_on_one_side(seed: int) -> None:
    """Also one of two classes; the fraction is met as nearly as whole sources allow."""
    videos = [(label, f"room {index // 4}") for index, label in enumerate("aabb" * 20)]
    listing = drawn(listing_of(videos), seed=seed)
    splits = {(video.source, video.split) for video in listing.videos}
    assert len(splits) == 20
    assert num_in_test(listing) == {"a": 10, "b": 10}


def test_a_class_of_one_source_is_trained_on_and_named() -> None:
    """Its videos would be on both sides, or in the test alone."""
    videos = [("a", "room 1"), ("a", "room 1"), *(("b", f"room {index}") for index in range(2, 6))]
    listing, notes = with_drawn_split(listing_of(videos), NOTHING, fraction=0.25, seed=0)
    assert num_in_test(listing) == {"b": 1}
    assert notes[0] == "split drawn by test_fraction 0.25: 1 test, 5 train"
    assert notes[1].startswith("1 classes have no test video")
    assert notes[1].endswith(": a")
    with pytest.raises(ValueError, match=r"none of the 2 videos of 1 sources can be spared for the test"):
        drawn(listing_of(videos[:2]))


def test_what_is_there_keeps_its_side_when_more_comes() -> None:
    """With its sources; the fraction is of old and new together."""
    videos = [(label, f"{label} {index // 2}") for label in "ab" for index in range(20)]
    whole = listing_of(videos)
    first = drawn(replace(whole, videos=whole.videos[::2]))  # one of the two videos of each source
    base = base_of(first, len(first.videos))
    grown = drawn(whole, base, seed=9)
    side_of = {video.source: video.split for video in first.videos}
    assert all(video.split == side_of[video.source] for video in grown.videos)
    new = [
        (
            "a",
            "new",
        ),
        *((None, None) for _ in range(8)),
    ]
    more = drawn(listing_of([*videos, *new]), base)
    assert [video.split for video in more.videos[:40]] == [video.split for video in grown.videos]
    assert num_in_test(more)[None] == 2


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes of four videos each."""
    folder = tmp_path / "videos"
    for index in range(8):
        path = folder / "ab"[index % 2] / f"{index}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_video(moving_pictures(4, 32, 48, seed=index)))
    return folder


def splits_of(dataset: ShardedDataset) -> dict[str, str]:
    return dict(zip(dataset.videos["video_id"].to_pylist(), dataset.videos["split"].to_pylist(), strict=True))


def config(source: Path, output: Path, **changes) -> IngestConfig:
    return config_of(source, output, test_fraction=0.25, max_refused_fraction=0.5, seed=SEED, **changes)


def test_an_ingest_records_the_split_that_it_draws(classes: Path, tmp_path: Path) -> None:
    """In every video and in the description; the same command again finds itself complete, though a video was
    refused; with --add a grown source keeps what it has, and that command is found again too."""
    (classes / "a" / "junk.mp4").write_bytes(b"junk")
    output = tmp_path / "out"
    ingest(config(classes, output))
    first = open_dataset(str(output))
    assert first.description.splits == {"test": 2, "train": 6}
    assert (first.description.test_fraction, first.description.split_seed) == (0.25, SEED)
    before = contents(output)
    assert ingest(config(classes, output)).already_complete
    assert contents(output) == before
    for index in range(8, 12):
        (classes / "b" / f"{index}.mp4").write_bytes(encode_video(moving_pictures(4, 32, 48, seed=index)))
    assert ingest(config(classes, output, add=True)).num_added == 4
    grown = open_dataset(str(output))
    assert grown.description.splits == {"test": 3, "train": 9}
    assert splits_of(first).items() <= splits_of(grown).items()
    assert ingest(config(classes, output, add=True)).already_complete


@pytest.mark.parametrize(("had", "has"), [(0.25, None), (None, 0.25)])
def test_some_videos_do_not_stay_without_a_split(classes: Path, tmp_path: Path, had, has) -> None:
    """Training would leave them out: what is added has to be split as the data set is."""
    ingest(replace(config(classes, tmp_path / "out"), test_fraction=had))
    more = replace(config(classes, tmp_path / "out", add=True, video_id_prefix="more/"), test_fraction=has)
    with pytest.raises(ValueError, match=f"test_fraction is {has}, its own is {had}"):
        ingest(more)


def test_a_source_with_splits_is_not_split_again(tmp_path: Path) -> None:
    """Nothing is written."""
    touch(tmp_path, "videos/train/a/1.mp4", "videos/test/a/2.mp4")
    with pytest.raises(ValueError, match=r"has splits of its own \(test 1, train 1 videos\); accepted: no test_frac"):
        ingest(config(tmp_path / "videos", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_a_fraction_is_some_and_not_all(fraction: float) -> None:
    """By its name and value."""
    with pytest.raises(ValueError, match=f"test_fraction is {fraction}; accepted: more than 0 and less than 1"):
        IngestConfig(source="a", output="b", test_fraction=fraction)
