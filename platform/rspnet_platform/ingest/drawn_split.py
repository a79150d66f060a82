"""A split for videos that have none: some of each class for the test, all videos of a source on one side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rspnet_core.random_streams import purpose_key
from rspnet_platform.ingest.base_version import BaseVersion
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource

TRAIN, TEST = "train", "test"
MAX_NAMES = 5
Counts = Mapping[str | None, int]
"""Videos of each class; None is the class of those without a label."""


def with_drawn_split(
    listing: SourceListing, base: BaseVersion, *, fraction: float, seed: int
) -> tuple[SourceListing, list[str]]:
    """The listing with `fraction` of each class's videos for the test, as near as whole sources come to it, and notes
    that say how many. A video without a source is one of its own.

    What `base` has keeps its side, and its sources keep theirs with all that is new of them; the fraction is of both
    together. ValueError where no source can be spared for the test.
    """
    groups = _groups(listing.videos, base)
    sides = _Sides(groups=groups, fraction=fraction)
    sides.draw(np.random.default_rng((seed, purpose_key("test_fraction"))))
    split_of = {video_id: TEST if group.is_test else TRAIN for group in groups for video_id in group.video_ids}
    if TEST not in split_of.values():
        raise ValueError(
            f"test_fraction is {fraction:g}: none of the {len(split_of)} videos of {len(groups)} sources can be spared"
            " for the test, since each class must keep some to train on; accepted: classes of two sources or more"
        )
    videos = tuple(replace(video, split=split_of[video.video_id]) for video in listing.videos)
    return replace(listing, videos=videos), sides.notes(videos)


def check_without_splits(listing: SourceListing, fraction: float) -> None:
    """ValueError for a source that says itself which videos are for the test."""
    splits = Counter(video.split for video in listing.videos if video.split is not None)
    if splits:
        found = ", ".join(f"{split} {count}" for split, count in sorted(splits.items()))
        raise ValueError(
            f"test_fraction is {fraction:g}, and the source has splits of its own ({found} videos); accepted: no"
            " test_fraction, or a source without splits"
        )


@dataclass(kw_only=True)
class _Group:
    """The videos of one source. `is_test` is None until its side is known."""

    video_ids: list[str] = field(default_factory=list)
    counts: Counter[str | None] = field(default_factory=Counter)
    is_test: bool | None = None


def _groups(videos: Sequence[VideoSource], base: BaseVersion) -> list[_Group]:
    """Those of `base` first, with their sides; each in the order of its first video."""
    groups: dict[tuple[str, str], _Group] = {}
    columns = (base.videos[name].to_pylist() for name in ("video_id", "label", "source", "split"))
    for video_id, label, source, split in zip(*columns, strict=True):
        group = groups.setdefault(_key(video_id, source), _Group(is_test=split == TEST))
        group.video_ids.append(video_id)
        group.counts[label] += 1
    present = {video_id: group for group in groups.values() for video_id in group.video_ids}
    for video in videos:
        if video.video_id in present:
            continue
        group = groups.setdefault(_key(video.video_id, video.source), _Group())
        group.video_ids.append(video.video_id)
        group.counts[video.label] += 1
    return list(groups.values())


def _key(video_id: str, source: str | None) -> tuple[str, str]:
    return ("video", video_id) if source is None else ("source", source)


@dataclass(kw_only=True)
class _Sides:
    """Which groups are for the test, and how many videos of each class those hold."""

    groups: Sequence[_Group]
    fraction: float

    def __post_init__(self) -> None:
        self.num_videos, self.num_test = Counter[str | None](), Counter[str | None]()
        for group in self.groups:
            self.num_videos.update(group.counts)
            if group.is_test:
                self.num_test.update(group.counts)

    def draw(self, generator: np.random.Generator) -> None:
        """Groups in a drawn order, each where it brings all of its classes nearer to the fraction; then the smallest
        that gives a class a test video at all. No class gives its last one to train on."""
        drawn = [self.groups[place] for place in generator.permutation(len(self.groups)).tolist()]
        undecided = [group for group in drawn if group.is_test is None]
        for group in undecided:
            if self._leaves_some(group.counts) and self._is_nearer(group.counts):
                self._take(group)
        for group in sorted((group for group in undecided if not group.is_test), key=lambda each: each.counts.total()):
            if self._leaves_some(group.counts) and not all(self.num_test[label] for label in group.counts):
                self._take(group)

    def notes(self, videos: Sequence[VideoSource]) -> list[str]:
        """How many videos are on which side, and which classes are on one alone."""
        num_test = sum(video.split == TEST for video in videos)
        lines = [f"split drawn by test_fraction {self.fraction:g}: {num_test} test, {len(videos) - num_test} train"]
        if one_sided := sorted(str(label) for label in self.num_videos if not self.num_test[label]):
            shown = ", ".join(one_sided[:MAX_NAMES]) + (", ..." if len(one_sided) > MAX_NAMES else "")
            lines.append(
                f"{len(one_sided)} classes have no test video, as all of theirs are of one source, or of sources that"
                f" are on the other side: {shown}"
            )
        return lines

    def _is_nearer(self, counts: Counts) -> bool:
        wanted = {label: self.fraction * self.num_videos[label] for label in counts}
        return all(
            abs(self.num_test[label] + count - wanted[label]) < abs(self.num_test[label] - wanted[label])
            for label, count in counts.items()
        )

    def _leaves_some(self, counts: Counts) -> bool:
        return all(self.num_test[label] + count < self.num_videos[label] for label, count in counts.items())

    def _take(self, group: _Group) -> None:
        group.is_test = True
        self.num_test.update(group.counts)
