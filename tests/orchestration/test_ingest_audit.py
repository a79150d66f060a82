"""The audit of a data set: its numbers against hand-computed ones, what it finds odd, and the page as a stranger's file
names would like to have it."""

import base64
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rspnet_platform import storage
from rspnet_platform.ingest.audit import contact_sheet
from rspnet_platform.ingest.audit.charts import BOTTOM, LEFT, RIGHT, TOP, draw_histogram
from rspnet_platform.ingest.audit.class_balance import class_balance
from rspnet_platform.ingest.audit.contact_sheet import MAX_VIDEOS, draw_videos, make_contact_sheet
from rspnet_platform.ingest.audit.dataset_numbers import (
    DatasetNumbers,
    dataset_numbers,
    group_refusals,
    group_skipped,
    settings_rows,
)
from rspnet_platform.ingest.audit.distributions import histogram, tally
from rspnet_platform.ingest.audit.findings import find_oddities
from rspnet_platform.ingest.audit.formats import format_bytes, format_fraction, format_seconds, shorten
from rspnet_platform.ingest.audit.page import MAX_CLASSES_SHOWN, render_page
from rspnet_platform.ingest.audit.write_audit import make_report
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.layouts.source_listing import SkippedFile, SkipReason
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.sources import list_videos
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.schema import VIDEOS_SCHEMA
from rspnet_platform.videos.refusal_reasons import RefusalReason

from tests.videos import encode_video, moving_pictures

HOSTILE = "<script>alert('x')</script> & \"quoted\" #1"


def video_row(index: int, **changes: Any) -> dict[str, Any]:
    """A row of VIDEOS_SCHEMA: 30 frames at 25 a second, 320 x 240, as promised."""
    row: dict[str, Any] = {field.name: 0 if field.type != pa.string() else "x" for field in VIDEOS_SCHEMA}
    row |= {"video_index": index, "video_id": f"{index}.mp4", "label": "a", "split": None, "source": None}
    row |= {"num_frames": 30, "frames_per_second": 25.0, "height": 128, "width": 170}
    row |= {"input_codec": "h264", "input_pixel_format": "yuv420p", "input_height": 240, "input_width": 320}
    row |= {"input_frames_per_second": 25.0, "input_num_frames": 30, "input_num_frames_promised": 30}
    return row | {"input_num_bytes": 1000} | changes


def numbers_of(*changes: dict[str, Any]) -> DatasetNumbers:
    rows = [video_row(index, **change) for index, change in enumerate(changes)]
    return dataset_numbers(pa.Table.from_pylist(rows, VIDEOS_SCHEMA), short_side=128, short_num_frames=16)


def headlines(numbers: DatasetNumbers, refused: Sequence = (), skipped: Sequence = ()) -> list[str]:
    return [f.headline for f in find_oddities(numbers, refused, skipped, short_num_frames=16)]


def test_a_histogram_counts_every_value_once() -> None:
    """Round edges that hold all values, the last one too; hand-counted bins."""
    spread = histogram(np.array([0.0, 1.0, 1.0, 9.5, 20.0]))
    assert spread.edges == tuple(range(21))
    assert [(int(e), c) for e, c in zip(spread.edges, spread.counts, strict=False) if c] == [
        (0, 1),
        (1, 2),
        (9, 1),
        (19, 1),
    ]
    assert (spread.smallest, spread.median, spread.largest, spread.is_logarithmic) == (0.0, 1.0, 20.0, False)


@pytest.mark.parametrize(
    "values", [[7.0], [30.0, 30.0], [0.1, 0.2], [1.0, 50.0], [0.001, 4e5], [-3.0, 2.0], [0.0, 0.0]]
)
def test_a_histogram_of_any_values_is_small_and_whole(values: list[float]) -> None:
    """Few bins, growing edges, nothing lost; a ratio of 50 makes the axis logarithmic."""
    spread = histogram(np.array(values))
    assert sum(spread.counts) == len(values)
    assert 1 <= len(spread.counts) <= 25
    assert list(spread.edges) == sorted(set(spread.edges))
    assert spread.is_logarithmic == (min(values) > 0 and max(values) >= 50 * min(values))


def test_a_tally_names_the_most_frequent_and_counts_the_others() -> None:
    """Ties go by name; the rest is a number of kinds and of values."""
    counted = tally([*"aabbbc", *"d"], largest_kind_count=2)
    assert [(kind.name, kind.count, round(kind.fraction, 3)) for kind in counted.kinds] == [
        ("b", 3, 0.429),
        ("a", 2, 0.286),
    ]
    assert (counted.num_kinds, counted.num_other_kinds, counted.num_other_values) == (4, 2, 2)


def test_bars_lie_inside_the_picture() -> None:
    """The highest bar fills it, none is invisible, and the median lies where its value is."""
    chart = draw_histogram("x", histogram(np.array([0.0] * 1000 + [10.0])))
    tall, *_, short = chart.bars
    assert (tall.y, tall.height) == (TOP, BOTTOM - TOP)
    assert short.height == 1.5
    assert short.x + short.width < RIGHT
    assert chart.median_x == LEFT
    assert (chart.ticks[0].label, chart.ticks[-1].label) == ("0", "10")
    middle = draw_histogram("x", histogram(np.array([1.0, 10.0, 100.0])))
    assert middle.median_x == pytest.approx((LEFT + RIGHT) / 2)


def test_classes_are_counted_for_each_side_of_the_split() -> None:
    """The largest first; fractions are of the largest; unlabelled videos are counted apart."""
    balance = class_balance(["a", "b", "b", None, "b"], ["train", "train", "test", "test", None])
    assert (balance.splits, balance.split_counts) == (("(no split)", "test", "train"), (1, 2, 2))
    assert [(c.name, c.num_videos, c.counts) for c in balance.classes] == [("b", 3, (1, 1, 1)), ("a", 1, (0, 0, 1))]
    assert balance.classes[1].fractions == (0.0, 0.0, pytest.approx(1 / 3))
    assert balance.num_unlabelled == 1
    many = class_balance(["a"] * 100, [str(i) for i in range(100)])
    assert len(many.splits) == 9
    assert dict(zip(many.splits, many.split_counts, strict=True))["(other splits)"] == 92


def test_numbers_are_those_of_the_table() -> None:
    """Seconds, bytes, promises and sizes of three videos, computed by hand."""
    numbers = numbers_of(
        {"num_frames": 50, "input_num_frames": 40, "input_num_frames_promised": 60, "input_num_bytes": 5},
        {"num_frames": 15, "input_num_frames_promised": None, "input_height": 100, "source": "s", "split": "train"},
        {"frames_per_second": 10.0, "input_num_frames_promised": 29, "source": "s", "split": "test"},
    )
    assert (numbers.num_videos, numbers.num_frames, numbers.num_input_bytes) == (3, 95, 2005)
    assert numbers.num_seconds == pytest.approx(2.0 + 0.6 + 3.0)
    promises = numbers.promises
    assert (promises.num_kept, promises.num_fewer, promises.num_more, promises.num_unpromised) == (0, 1, 1, 1)
    assert {(kind.name, kind.count) for kind in promises.differences.kinds} == {("-20", 1), ("+1", 1)}
    (worst,) = promises.worst
    assert (worst.video_id, worst.num_frames, worst.num_frames_promised) == ("0.mp4", 40, 60)
    assert promises.num_cut_short == 1
    assert (numbers.num_sources, numbers.num_divided_sources, numbers.divided_source) == (1, 1, "s")
    assert (numbers.num_enlarged, numbers.num_short) == (1, 1)
    on_no_side = numbers_of({"source": "s", "split": "train"}, {"source": "s"}, {"split": "test"})
    assert (on_no_side.num_divided_sources, on_no_side.divided_source) == (0, None)
    assert [kind.name for kind in numbers.input_sizes.kinds] == ["320 × 240", "320 × 100"]
    assert [kind.name for kind in numbers.stored_frame_rates.kinds] == ["25.00", "10.00"]
    assert [kind.name for kind in numbers.input_frame_rates.kinds] == ["25.00"]


def test_an_ordinary_data_set_has_nothing_odd() -> None:
    """Neither few promised frames too many, nor one split, nor equal classes are worth a word."""
    ordinary = [{"label": label, "input_num_frames_promised": 34} for label in "aabb"]
    assert headlines(numbers_of(*ordinary)) == []


def test_oddities_are_found() -> None:
    """One video a class, unequal classes, classes that miss a side, divided sources, rates, short and cut videos."""
    few = [{"label": "few", "split": "test", "source": "s", "frames_per_second": 15.0, "num_frames": 5}]
    numbers = numbers_of(*few, *[{"split": "train", "source": "s"}] * 4, *[{"split": "test"}] * 6, {"label": None})
    found = headlines(numbers)
    assert found == [
        "The split divides 1 source",
        "1 class not in train",
        "1 class with one video",
        "Very unequal classes",
        "1 video without a label",
        "1 video of fewer than 16 frames",
    ]
    assert headlines(numbers_of({}, {"frames_per_second": 15.0})) == ["2 frame rates"]  # one of twelve is not a tenth
    cut = numbers_of({"input_num_frames": 80, "input_num_frames_promised": 100})
    assert headlines(cut) == ["1 class with one video", "1 video cut short"]


def test_what_was_left_out_is_found_by_reason() -> None:
    """Refusals, duplicates, missing and unlisted videos each get a word with their number."""
    refusals = [Refusal(path=str(i), reason=RefusalReason.UNREADABLE, detail="d") for i in range(3)]
    refusals.append(Refusal(path="copy", reason=RefusalReason.DUPLICATE, detail="the same bytes as 0.mp4"))
    skipped = [SkippedFile(path=str(i), reason=SkipReason.MISSING) for i in range(2)]
    skipped.append(SkippedFile(path="x", reason=SkipReason.UNLISTED))
    found = headlines(numbers_of({}, {}), group_refusals(refusals), group_skipped(skipped))
    assert found == [
        "60.0% refused",
        "1 duplicate",
        "2 listed videos missing (50.0%)",
        "1 video on disk and in no list",
    ]


def test_examples_are_spread_and_few() -> None:
    """Five of many, from the first on, over the whole list; the count is of all."""
    refusals = [Refusal(path=str(i), reason=RefusalReason.ENCRYPTED, detail="d") for i in range(50)]
    (group,) = group_refusals(refusals)
    assert (group.reason, group.count) == ("encrypted", 50)
    assert group.examples == (("0", "d"), ("10", "d"), ("20", "d"), ("30", "d"), ("40", "d"))


def test_numbers_read_well() -> None:
    """Bytes, times and fractions at the edges of their units; settings by dotted name."""
    assert [format_bytes(n) for n in (0, 999, 1000, 1234567, 250e9)] == ["0 B", "999 B", "1.0 kB", "1.2 MB", "250 GB"]
    times = [format_seconds(s) for s in (0.5, 61, 3660, 1e6)]
    assert times == ["0.5 s", "1 min 1 s", "1 h 1 min", "278 h"]
    assert [format_fraction(f) for f in (0, 1e-6, 0.125, 1)] == ["0 %", "< 0.1 %", "12.5 %", "100 %"]
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert settings_rows({"a": {"b": 1, "c": None}, "d": True}) == [("a.b", "1"), ("a.c", ""), ("d", "True")]


@pytest.fixture
def hostile_source(tmp_path: Path) -> Path:
    """Videos, a copy, junk and another file, under names that would be markup."""
    folder = tmp_path / f"in {HOSTILE.replace('/', '')}"
    label = folder / HOSTILE.replace("/", "")
    label.mkdir(parents=True)
    for index in range(3):
        data = encode_video(moving_pictures(20, 64, 80, seed=index))
        (label / f"{index} <img src=x onerror=alert(1)>.mp4").write_bytes(data)
    (label / "copy <b>.mp4").write_bytes((label / "2 <img src=x onerror=alert(1)>.mp4").read_bytes())
    (folder / "junk &amp; <i>.mp4").write_bytes(b"junk")
    (folder / "notes <u>.txt").write_text("x")
    return folder


def audit_of(source: Path, output: Path, **changes: Any) -> tuple[ShardedDataset, str]:
    config = IngestConfig(
        source=str(source), output=str(output), short_side=64, num_processes=1, max_refused_fraction=1.0, **changes
    )
    result = ingest(config)
    assert (result.audit, result.audit_error) == (str(output / "audit.html"), None)
    return open_dataset(str(output)), (output / "audit.html").read_text()


class Page(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_names_and_never_obeys_them(hostile_source: Path, tmp_path: Path) -> None:
    """Markup in names of files, classes and sources arrives as text: no tag and no attribute comes of it."""
    _, html = audit_of(hostile_source, tmp_path / "out")
    page = Page(html)
    assert {tag for tag, _ in page.tags} & {"script", "b", "i", "u", "iframe", "object", "link", "base"} <= {"b", "i"}
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 3
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in images)
    shown = ("<script>alert('x')<script>", "0 <img src=x onerror=alert(1)>.mp4", "copy <b>.mp4", "junk &amp; <i>.mp4")
    assert not [text for text in (*shown, "notes <u>.txt") if text not in page.text]
    assert page.text.count("in <script>") >= 2


def test_the_page_loads_nothing(hostile_source: Path, tmp_path: Path) -> None:
    """No address but its own anchors and data, no style that could fetch, and a policy that forbids it to a browser."""
    _, html = audit_of(hostile_source, tmp_path / "out")
    for tag, attributes in Page(html).tags:
        for name in ("href", "src", "srcset", "action", "data", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/jpeg")), (tag, attributes)
    assert not re.findall(r"https?://|url\(|@import|<script", html)
    (policy,) = [a["content"] for t, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_the_page_has_the_numbers(hostile_source: Path, tmp_path: Path) -> None:
    """Videos, frames, refusals with reasons, skipped files, the identity; pictures are those of the shards."""
    dataset, html = audit_of(hostile_source, tmp_path / "out")
    tiles = re.findall(r'<div class="tile[^>]*><b>([^<]*)</b><span>([^<]*)', html)
    shard_bytes = format_bytes((tmp_path / "out" / "shard-00000.parquet").stat().st_size)
    assert {name: value for value, name in tiles} == {
        "videos": "3",
        "of video": "2.4 s",
        "frames": "60",
        "classes": "1",
        "of input": format_bytes(sum(dataset.videos["input_num_bytes"].to_pylist())),
        "in shards": shard_bytes,
        "refused": "2",
        "skipped": "1",
    }
    text = Page(html).text
    expected = ("duplicate", "the same bytes as", "unreadable", "not_a_video", dataset.description.manifest_sha256)
    assert not [word for word in expected if word not in text]
    assert str(tmp_path / "out") not in text
    skipped = pq.read_table(tmp_path / "out" / "skipped_files.parquet").to_pylist()
    assert skipped == [{"path": "notes <u>.txt", "reason": "not_a_video"}]


def test_pictures_are_frames_of_the_stored_video(hostile_source: Path, tmp_path: Path) -> None:
    """A strip shows the frames it says, in time's order, also for files that are kept as they came."""
    for profile in ("indexed", "original"):
        dataset, _ = audit_of(hostile_source, tmp_path / profile, profile=profile)
        strips = make_contact_sheet(dataset, seed=0)
        assert [strip.damage for strip in strips] == ["", "", ""]
        for strip in strips:
            assert strip.frame_indices == (3, 10, 16)
            seed = int(strip.video["video_id"].split("/")[-1][0])
            pictures = [moving_pictures(20, 64, 80, seed=seed)[index] for index in strip.frame_indices]
            wide = cv2.resize(np.concatenate(pictures, axis=1), (strip.width, strip.height))
            jpeg = np.frombuffer(base64.b64decode(strip.jpeg_base64), np.uint8)
            decoded: Any = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
            shown = decoded[..., ::-1]
            assert shown.shape == wide.shape
            assert np.abs(shown.astype(int) - wide).mean() < 12
            assert np.abs(shown[:, ::-1].astype(int) - wide).mean() > 20


def test_videos_are_drawn_by_the_seed_over_classes_and_few_row_groups(
    small_dataset: ShardedDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed draws the same; classes come in turn; only as many row groups are read as allowed."""
    monkeypatch.setattr(contact_sheet, "MAX_VIDEOS", 6)
    monkeypatch.setattr(contact_sheet, "MAX_ROW_GROUPS", 3)
    drawn = [[video["video_id"] for video in draw_videos(small_dataset, seed)] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    videos = draw_videos(small_dataset, 0)
    assert sorted(video["label"] for video in videos) == ["class_0"] * 3 + ["class_1"] * 3
    assert len({(video["shard"], video["row_group"]) for video in videos}) <= 3
    assert len({video["video_id"] for video in videos}) == 6


def test_a_damaged_row_is_shown_as_such(hostile_source: Path, tmp_path: Path) -> None:
    """A row that changed since it was written has its reason in place of a picture, and a finding on top."""
    dataset, _ = audit_of(hostile_source, tmp_path / "out")
    shard = tmp_path / "out" / "shard-00000.parquet"
    data = bytearray(shard.read_bytes())
    data[data.index(b"mdat") + 400] ^= 0xFF
    shard.write_bytes(data)
    config = IngestConfig(source=str(hostile_source), output=dataset.uri, short_side=64)
    report = make_report(dataset, config, list_videos(config.source))
    assert [bool(strip.damage) for strip in report.strips].count(True) == 1
    assert report.findings[0].headline == "1 stored video cannot be read"
    assert "its checksum differs" in Page(render_page(report)).text


def test_the_page_stays_small(small_dataset: ShardedDataset) -> None:
    """Thousands of classes, splits, refusals and long names make it hardly larger, and what is cut is counted."""
    num_videos, long = 5000, "n" * 1000
    rows = small_dataset.videos.to_pylist()
    change = [
        {"video_id": f"{long}{i}", "label": f"{long}{i % 3000}", "split": f"{long}{i}"} for i in range(num_videos)
    ]
    table = pa.Table.from_pylist([rows[i % len(rows)] | change[i] for i in range(num_videos)], VIDEOS_SCHEMA)
    config = IngestConfig(source=small_dataset.uri, output=small_dataset.uri)
    listing = list_videos(str(Path(small_dataset.uri).parent / "videos"))
    skipped = tuple(SkippedFile(path=f"{long}{i}", reason=SkipReason.UNLISTED) for i in range(num_videos))
    report = make_report(replace(small_dataset, videos=table), config, replace(listing, skipped=skipped))
    assert len(report.strips) == MAX_VIDEOS
    refused = group_refusals([Refusal(path=long, reason=r, detail=long) for r in RefusalReason for _ in range(100)])
    html = render_page(replace(report, refused=refused))
    assert len(html) < 2_000_000
    assert html.count('<div class="class">') == MAX_CLASSES_SHOWN
    text = Page(html).text
    assert f"{3000 - MAX_CLASSES_SHOWN:,} classes between" in text
    assert "and 4,995 more" in text
    assert long not in text


def test_a_failed_audit_costs_nothing_of_the_data_set(
    hostile_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data set is whole, the result says what went wrong, and the same command makes the page later."""
    write_bytes = storage.write_bytes

    def disk_is_full(uri: str, data: bytes) -> None:
        if uri.endswith("audit.html"):
            raise storage.StorageError(f"cannot write {uri}: no space left on device")
        write_bytes(uri, data)

    config = IngestConfig(
        source=str(hostile_source), output=str(tmp_path / "out"), num_processes=1, max_refused_fraction=1.0
    )
    monkeypatch.setattr(storage, "write_bytes", disk_is_full)
    first = ingest(config)
    assert (first.num_videos, first.audit, first.already_complete) == (3, None, False)
    assert "is complete, but its report" in (first.audit_error or "")
    assert "no space left on device" in (first.audit_error or "")
    assert open_dataset(first.output).description.num_videos == 3
    monkeypatch.undo()
    second = ingest(config)
    assert (second.audit, second.audit_error, second.already_complete) == (f"{tmp_path}/out/audit.html", None, True)
    (tmp_path / "out" / "audit.html").write_text("annotated by hand")
    assert ingest(config).audit == second.audit
    assert (tmp_path / "out" / "audit.html").read_text() == "annotated by hand"


def test_an_added_version_has_its_own_audit(hostile_source: Path, tmp_path: Path) -> None:
    """The page is of all videos of the newest version, and each version keeps its table of skipped files."""
    audit_of(hostile_source, tmp_path / "out")
    more = tmp_path / "more"
    more.mkdir()
    (more / "new.mp4").write_bytes(encode_video(moving_pictures(20, 64, 80, seed=9)))
    (more / "readme.txt").write_text("x")
    dataset, html = audit_of(more, tmp_path / "out", add=True)
    assert dataset.description.version == 2
    assert "Data set audit · version 2" in Page(html).text
    assert re.findall(r"<b>(\d+)</b><span>videos", html) == ["4"]
    names = ["skipped_files.parquet", "skipped_files-00002.parquet"]
    paths = [pq.read_table(tmp_path / "out" / name)["path"].to_pylist() for name in names]
    assert paths == [["notes <u>.txt"], ["readme.txt"]]


def test_secrets_in_addresses_do_not_reach_the_page(hostile_source: Path, tmp_path: Path) -> None:
    """user:password@ of a source's address is left out of the settings."""
    dataset, _ = audit_of(hostile_source, tmp_path / "out")
    config = IngestConfig(source="s3://key:secret@host/bucket", output="x")
    report = make_report(dataset, config, list_videos(str(hostile_source)))
    assert dict(report.settings)["source"] == "s3://host/bucket"
    assert "secret" not in render_page(report)
