"""The numbers of a data set, from its table of videos alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rspnet_platform.ingest.audit.class_balance import ClassBalance, class_balance
from rspnet_platform.ingest.audit.distributions import Histogram, Tally, histogram, tally
from rspnet_platform.ingest.layouts.source_listing import SkippedFile
from rspnet_platform.ingest.refusals import Refusal, count_by_reason

MAX_EXAMPLES = 5
CUT_SHORT_FRACTION = 0.1
MISCOUNTED_FRAMES = 10
"""AVI headers overstate by up to 8: only a larger loss tells of a file that was cut off."""


@dataclass(frozen=True, kw_only=True)
class LostFrames:
    """A video that decoded to fewer frames than its container promised."""

    video_id: str
    num_frames: int
    num_frames_promised: int


@dataclass(frozen=True, kw_only=True)
class FramePromises:
    """How the containers' frame counts compare to decoded frames; `differences` are decoded less promised,
    `num_cut_short` counts losses of more than a tenth that
    are more than containers miscount by."""

    num_unpromised: int
    num_kept: int
    num_fewer: int
    num_more: int
    num_cut_short: int
    differences: Tally
    worst: tuple[LostFrames, ...]


@dataclass(frozen=True, kw_only=True)
class DatasetNumbers:
    """`num_divided_sources` counts sources with videos on more than one side of the split."""

    num_videos: int
    num_frames: int
    num_seconds: float
    num_input_bytes: int
    durations_seconds: Histogram
    frame_counts: Histogram
    input_frame_rates: Tally
    stored_frame_rates: Tally
    input_frame_rate_spread: Histogram
    input_short_sides: Histogram
    input_sizes: Tally
    stored_sizes: Tally
    codecs: Tally
    pixel_formats: Tally
    promises: FramePromises
    balance: ClassBalance
    num_sources: int
    num_divided_sources: int
    divided_source: str | None
    num_enlarged: int
    num_short: int
    with_time_jumps: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReasonGroup:
    """All that was left out for one reason, with some examples: (path, detail)."""

    reason: str
    sentence: str
    count: int
    examples: tuple[tuple[str, str], ...]


def dataset_numbers(videos: pa.Table, *, short_side: int, short_num_frames: int) -> DatasetNumbers:
    """Of a table of VIDEOS_SCHEMA with one video or more. `num_short` counts those of fewer than `short_num_frames`
    frames, `num_enlarged` those whose input was smaller than `short_side`; `with_time_jumps` are the ids of those in
    whose input the clock was set forward."""
    num_frames = videos["num_frames"].to_numpy().astype(np.int64)
    input_rates, rates = (videos[f"{side}frames_per_second"].to_numpy() for side in ("input_", ""))
    seconds = num_frames / rates
    heights, widths = videos["input_height"].to_numpy(), videos["input_width"].to_numpy()
    labels, splits = videos["label"].to_pylist(), videos["split"].to_pylist()
    divided = _divided_sources(videos["source"].to_pylist(), splits)
    return DatasetNumbers(
        num_videos=len(videos),
        num_frames=int(num_frames.sum()),
        num_seconds=float(seconds.sum()),
        num_input_bytes=int(videos["input_num_bytes"].to_numpy().sum()),
        durations_seconds=histogram(seconds),
        frame_counts=histogram(num_frames),
        input_frame_rates=tally(f"{rate:.2f}" for rate in input_rates),
        stored_frame_rates=tally(f"{rate:.2f}" for rate in rates),
        input_frame_rate_spread=histogram(input_rates),
        input_short_sides=histogram(np.minimum(heights, widths)),
        input_sizes=tally(_sizes(widths, heights)),
        stored_sizes=tally(_sizes(videos["width"].to_numpy(), videos["height"].to_numpy())),
        codecs=tally(videos["input_codec"].to_pylist()),
        pixel_formats=tally(videos["input_pixel_format"].to_pylist()),
        promises=_frame_promises(videos),
        balance=class_balance(labels, splits),
        num_sources=len(set(videos["source"].to_pylist()) - {None}),
        num_divided_sources=len(divided),
        divided_source=min(divided, default=None),
        num_enlarged=int((np.minimum(heights, widths) < short_side).sum()),
        num_short=int((num_frames < short_num_frames).sum()),
        with_time_jumps=tuple(
            video_id
            for video_id, jumps in zip(
                videos["video_id"].to_pylist(), videos["input_num_time_jumps"].to_pylist(), strict=True
            )
            if jumps
        ),
    )


def _sizes(widths: np.ndarray, heights: np.ndarray) -> list[str]:
    return [f"{width} × {height}" for width, height in zip(widths, heights, strict=True)]


def _divided_sources(sources: Sequence[str | None], splits: Sequence[str | None]) -> set[str]:
    """Sources on more than one side of the split; a video without a split is on no side."""
    sides: dict[str, set[str]] = {}
    for source, split in zip(sources, splits, strict=True):
        if source and split:
            sides.setdefault(source, set()).add(split)
    return {source for source, found in sides.items() if len(found) > 1}


def _frame_promises(videos: pa.Table) -> FramePromises:
    decoded = videos["input_num_frames"].to_numpy().astype(np.int64)
    promised = np.array([-1 if p is None else p for p in videos["input_num_frames_promised"].to_pylist()], np.int64)
    differences = (decoded - promised)[promised >= 0]
    lost_fraction = np.where(promised > decoded, (promised - decoded) / np.maximum(promised, 1), 0.0)
    worst = [int(index) for index in np.argsort(-lost_fraction, kind="stable")[:MAX_EXAMPLES] if lost_fraction[index]]
    return FramePromises(
        num_unpromised=int((promised < 0).sum()),
        num_kept=int((differences == 0).sum()),
        num_fewer=int((differences < 0).sum()),
        num_more=int((differences > 0).sum()),
        num_cut_short=int(((lost_fraction > CUT_SHORT_FRACTION) & (promised - decoded > MISCOUNTED_FRAMES)).sum()),
        differences=tally(f"{difference:+d}" for difference in differences if difference),
        worst=tuple(
            LostFrames(
                video_id=videos["video_id"][index].as_py(),
                num_frames=int(decoded[index]),
                num_frames_promised=int(promised[index]),
            )
            for index in worst
        ),
    )


def group_refusals(refusals: Sequence[Refusal]) -> tuple[ReasonGroup, ...]:
    """By reason, the most frequent first."""
    groups: dict[str, list[Refusal]] = {reason: [] for reason in count_by_reason(refusals)}
    for refusal in refusals:
        groups[str(refusal.reason)].append(refusal)
    return tuple(
        ReasonGroup(
            reason=reason,
            sentence=group[0].reason.sentence,
            count=len(group),
            examples=tuple((group[i].path, group[i].detail) for i in _spread(len(group))),
        )
        for reason, group in groups.items()
    )


def group_skipped(skipped: Sequence[SkippedFile]) -> tuple[ReasonGroup, ...]:
    """By reason, the most frequent first."""
    groups: dict[str, list[SkippedFile]] = {}
    for file in skipped:
        groups.setdefault(str(file.reason), []).append(file)
    return tuple(
        ReasonGroup(
            reason=reason,
            sentence=group[0].reason.sentence,
            count=len(group),
            examples=tuple((group[i].path, "") for i in _spread(len(group))),
        )
        for reason, group in sorted(groups.items(), key=lambda item: -len(item[1]))
    )


def _spread(count: int) -> list[int]:
    """A few places over the whole length: neighbours in a list tend to be of one kind."""
    num_examples = min(count, MAX_EXAMPLES)
    return [index * count // num_examples for index in range(num_examples)]


def settings_rows(settings: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """(dotted name, value) of nested settings, in their order."""
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            rows += settings_rows(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, "" if value is None else str(value)))
    return rows
