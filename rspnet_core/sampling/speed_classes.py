"""SpeedNet's two clips of one segment, at a normal and at a higher speed (CVPR 2020, arXiv 2004.06130)."""

from dataclasses import dataclass
from math import floor

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, uniform_start
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end

NORMAL, FAST = range(2)
"""The clips' places in a plan, and their labels."""


@dataclass(frozen=True, kw_only=True)
class SpeedClassSampler:
    """Plans (normal, fast) with labels (0, 1): each clip's skip, in frames from one of its frames to the next, is
    drawn uniformly from its range. There is no official code; T = 64 and the ranges are from memory of the
    paper, and therefore fields.

    A skip is fractional. The rule: the clip's frame i is the video's frame start + floor(i x skip), which is the
    frame that a player shows at that time; a skip of 1.2 repeats none and leaves out each sixth or so.

    Both clips start at one frame, uniform where the longest possible span fits, and share their
    augmentation, so that they differ in speed alone; a batch holds both ("same-batch training"). In a video too
    short for that, starts lie anywhere and `past_the_end` decides: looped and clamped clips tell their speed by
    a cut or a still.
    """

    num_frames_per_clip: int = 64
    normal_skip: tuple[float, float] = (1.0, 1.2)
    fast_skip: tuple[float, float] = (1.7, 2.2)
    past_the_end: PastTheEnd = "loop"

    def __post_init__(self) -> None:
        check_past_the_end(self.past_the_end)
        check_minimums(self, num_frames_per_clip=2)
        (slowest, fast_normal), (slow_fast, fastest) = self.normal_skip, self.fast_skip
        if not 1 <= slowest <= fast_normal < slow_fast <= fastest:
            raise ValueError(
                f"normal_skip is {self.normal_skip} and fast_skip is {self.fast_skip}; accepted: ranges (low, high) "
                "from 1 on, the fast one above the normal one"
            )

    @property
    def num_clips(self) -> int:
        return 2

    @property
    def longest_span(self) -> int:
        """Frames that the fastest possible clip covers: a shorter video is subject to `past_the_end`."""
        return floor((self.num_frames_per_clip - 1) * self.fast_skip[1]) + 1

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        if self.past_the_end == "reject":
            what_for = f"{self.num_frames_per_clip} frames at a skip of {self.fast_skip[1]}"
            check_num_frames(video, self.longest_span, what_for)
        skips = [float(generator.uniform(*skip_range)) for skip_range in (self.normal_skip, self.fast_skip)]
        start = uniform_start(video.num_frames, self.longest_span, generator)
        return ClipPlan(
            clips=tuple(
                ClipSpec(frame_indices=self._frames(video.num_frames, start, skip), playback_speed=skip)
                for skip in skips
            ),
            labels=(NORMAL, FAST),
        )

    def _frames(self, num_frames: int, start: int, skip: float) -> tuple[int, ...]:
        indices = start + np.floor(skip * np.arange(self.num_frames_per_clip)).astype(int)
        indices = indices % num_frames if self.past_the_end == "loop" else np.minimum(indices, num_frames - 1)
        return tuple(indices.tolist())
