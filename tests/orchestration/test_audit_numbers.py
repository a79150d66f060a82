"""The audit's numbers, by hand: distributions, classes, oddities and what was left out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rspnet_platform.ingest.audit.charts import BOTTOM, LEFT, RIGHT, TOP, draw_histogram
from rspnet_platform.ingest.audit.class_balance import class_balance
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
from rspnet_platform.ingest.layouts.source_listing import SkippedFile, SkipReason
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.shards.schema import VIDEOS_SCHEMA
from rspnet_platform.videos.refusal_reasons import RefusalReason


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


def test_jumps_of_the_clock_are_listed() -> None:
    """By the videos' ids; nothing is known of those that an older version ingested."""
    numbers = numbers_of({}, {"input_num_time_jumps": 2}, {"input_num_time_jumps": None})
    assert numbers.with_time_jumps == ("1.mp4",)
    assert "1 video with a jump in time" in headlines(numbers)


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
