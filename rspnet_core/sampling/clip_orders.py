"""Clip order prediction's shuffled clips (VCOP, Xu et al., CVPR 2019: "Self-supervised Spatiotemporal Learning via
Video Clip Order Prediction")."""

from dataclasses import dataclass
from itertools import permutations
from typing import Literal, get_args

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, place_clip
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo

TooShort = Literal["reject", "squeeze"]


def clip_permutations(num_clips: int) -> tuple[tuple[int, ...], ...]:
    """The orders that clips may be shown in, by label: permutations in lexicographic order. In the order p the clip
    shown at place i is number p[i] in time."""
    return tuple(permutations(range(num_clips)))


def tuple_starts(
    video: VideoInfo,
    generator: np.random.Generator,
    *,
    num_clips: int,
    num_frames_per_clip: int,
    num_frames_between: int,
    too_short: TooShort,
) -> list[int]:
    """Starts, in order of time, of clips of consecutive frames with `num_frames_between` between two of them; the whole
    is placed uniformly.

    A video shorter than the whole: "reject" raises ValueError; "squeeze" spreads the starts evenly from the first
    possible to the last, so that clips come closer and then overlap, and raises ValueError where two would coincide.
    Looping is no choice: round the end, a later clip shows earlier frames.
    """
    whole = num_clips * num_frames_per_clip + (num_clips - 1) * num_frames_between
    if video.num_frames >= whole:
        first = int(generator.integers(0, video.num_frames - whole, endpoint=True))
        return [first + index * (num_frames_per_clip + num_frames_between) for index in range(num_clips)]
    what_for = f"{num_clips} clips of {num_frames_per_clip} frames"
    if too_short == "reject":
        check_num_frames(video, whole, f"{what_for}, {num_frames_between} frames apart (or too_short='squeeze')")
    check_num_frames(video, num_frames_per_clip + num_clips - 1, f"{what_for} at different times")
    return np.linspace(0, video.num_frames - num_frames_per_clip, num_clips).round().astype(int).tolist()


def check_too_short(policy: str) -> None:
    """Raises ValueError for a policy that does not exist."""
    if policy not in get_args(TooShort):
        raise ValueError(f"too_short is {policy!r}; accepted are {', '.join(get_args(TooShort))}")


@dataclass(frozen=True, kw_only=True)
class ClipOrderSampler:
    """Plans `num_clips` clips of consecutive frames in a random order. The label is the order's place in
    `clip_permutations`.

    The defaults are the published code's: 3 clips of 16 frames with 8 between them, 64 frames in all; its lists hold
    no shorter video, and `too_short="reject"` refuses one (see `tuple_starts` for "squeeze").

    Each clip has its own augmentation group, as published, where it is cropped for itself (and not flipped or
    coloured); `share_augmentation` gives all of them one.
    """

    num_clips: int = 3
    num_frames_per_clip: int = 16
    num_frames_between: int = 8
    too_short: TooShort = "reject"
    share_augmentation: bool = False

    def __post_init__(self) -> None:
        check_too_short(self.too_short)
        check_minimums(self, num_clips=2, num_frames_per_clip=1, num_frames_between=0)
        if self.num_clips > 6:
            raise ValueError(f"num_clips is {self.num_clips}; accepted are 2 to 6: 7 clips are 5,040 classes")

    @property
    def num_classes(self) -> int:
        return len(clip_permutations(self.num_clips))

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        starts = tuple_starts(
            video,
            generator,
            num_clips=self.num_clips,
            num_frames_per_clip=self.num_frames_per_clip,
            num_frames_between=self.num_frames_between,
            too_short=self.too_short,
        )
        label = int(generator.integers(self.num_classes))
        order = clip_permutations(self.num_clips)[label]
        return ClipPlan(
            clips=tuple(
                place_clip(
                    video,
                    start=starts[number],
                    num_frames_per_clip=self.num_frames_per_clip,
                    augmentation_group=0 if self.share_augmentation else place,
                )
                for place, number in enumerate(order)
            ),
            labels=(label,),
        )
