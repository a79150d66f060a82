"""Pace prediction's clips: each at a pace drawn from a list, which has to be told (ECCV 2020, arXiv 2008.05861)."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, check_speeds
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo
from rspnet_core.sampling.frame_indices import clip_span

Overrun = Literal["wrap", "clamp", "restrict_start"]


@dataclass(frozen=True, kw_only=True)
class PaceSampler:
    """Plans `num_clips` clips, each with a pace drawn uniformly from `speeds` and a start uniform over the whole video.
    The labels are each clip's place in `speeds` (r - 1 for the published 1, 2, 3, 4).

    `overrun` is what happens past the end. "wrap", as in the published code, goes on from the video's first frame,
    whichever frame the pace had been going to meet: a visible cut, and a shortcut, since it is met more often the
    faster the pace. "clamp" repeats the last frame, which tells the pace too. "restrict_start" draws the start only
    from where the clip fits and raises ValueError for a video that is too short for the fastest pace.

    One clip serves the classification that was published as code. The contrastive branch, which is in the paper
    alone, takes two (clips of one video are its "same context" positives): each has its own pace, start and
    augmentation group. That their paces are independent, so that they may be equal, is an assumption of ours.
    """

    num_clips: int = 1
    num_frames_per_clip: int = 16
    speeds: tuple[int, ...] = (1, 2, 3, 4)
    overrun: Overrun = "wrap"

    def __post_init__(self) -> None:
        check_minimums(self, num_clips=1, num_frames_per_clip=2)
        check_speeds("speeds", self.speeds)
        if self.overrun not in get_args(Overrun):
            raise ValueError(f"overrun is {self.overrun!r}; accepted are {', '.join(get_args(Overrun))}")

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        if self.overrun == "restrict_start":
            longest_span = clip_span(self.num_frames_per_clip, self.speeds[-1])
            check_num_frames(video, longest_span, f"{self.num_frames_per_clip} frames at pace {self.speeds[-1]}")
        labels = tuple(generator.integers(len(self.speeds), size=self.num_clips).tolist())
        return ClipPlan(
            clips=tuple(
                ClipSpec(
                    frame_indices=self._frames(video.num_frames, self.speeds[label], generator),
                    playback_speed=float(self.speeds[label]),
                    augmentation_group=group,
                )
                for group, label in enumerate(labels)
            ),
            labels=labels,
        )

    def _frames(self, num_frames: int, speed: int, generator: np.random.Generator) -> tuple[int, ...]:
        num_starts = num_frames
        if self.overrun == "restrict_start":
            num_starts -= clip_span(self.num_frames_per_clip, speed) - 1
        start = int(generator.integers(num_starts))
        steps = np.arange(self.num_frames_per_clip)
        if self.overrun == "clamp":
            return tuple(np.minimum(start + speed * steps, num_frames - 1).tolist())
        num_before_end = len(range(start, num_frames, speed))
        num_per_round = len(range(0, num_frames, speed))
        wrapped = (steps - num_before_end) % num_per_round
        return tuple(np.where(steps < num_before_end, start + speed * steps, speed * wrapped).tolist())
