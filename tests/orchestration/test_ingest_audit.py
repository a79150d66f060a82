"""The page of an audit: what it shows, what it never obeys, and what its failure costs."""

import base64
import re
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
from rspnet_platform.ingest.audit.contact_sheet import MAX_VIDEOS, draw_videos, make_contact_sheet
from rspnet_platform.ingest.audit.dataset_numbers import (
    group_refusals,
)
from rspnet_platform.ingest.audit.formats import format_bytes
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
