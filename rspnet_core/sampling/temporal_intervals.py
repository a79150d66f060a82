"""CVRL's two clips of a video, whose distance in time is drawn from a distribution of its own (CVPR 2021, arXiv
2008.03800, 3.2 "temporal augmentation").

| paper and published code | here |
|---|---|
| t, the temporal interval between the clips' starts | `interval` |
| P(t), decreasing as 1 - (t / M)^a; power a | `interval_distribution`, `interval_power` |
| M = L - (T - 1) s for L frames and T frames a clip at stride s | `num_starts`: the starts that fit |

    CDF(k) = (a + 1) / (a M) k - k^(a + 1) / (a M^(a + 1)),    t = the largest whole k < M with CDF(k) <= u

with u uniform in [0, 1). For the published a = 1 this is floor(M (1 - sqrt(1 - u))), with a mean near M / 3.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, place_clip
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end, clip_span

IntervalDistribution = Literal["decreasing", "uniform", "increasing"]


@dataclass(frozen=True, kw_only=True)
class TemporalIntervalSampler:
    """Plans two clips: the interval between their starts is drawn first, then the earlier start uniformly among those
    that leave room for the later one; which of the two comes first in the plan is drawn last.

    `interval_distribution` and `interval_power` (a > 0): "decreasing" is 1 - (t / M)^a, published with a = 1 (the paper
    also tries 0.5 and 2); "uniform" takes no notice of the power; "increasing" is (t / M)^a. The last two are in the
    paper alone, not in its code, and that its increasing densities begin at 0 is an assumption of ours.

    A video with no room for one clip gets, as published, two independent starts anywhere, and "loop" starts it again
    past its end, so that a clip can hold a cut.

    The clips have an augmentation group each.
    """

    num_frames_per_clip: int = 16
    frame_stride: int = 2
    interval_distribution: IntervalDistribution = "decreasing"
    interval_power: float = 1.0
    past_the_end: PastTheEnd = "loop"

    def __post_init__(self) -> None:
        check_past_the_end(self.past_the_end)
        check_minimums(self, num_frames_per_clip=1, frame_stride=1)
        if self.interval_distribution not in get_args(IntervalDistribution):
            accepted = ", ".join(get_args(IntervalDistribution))
            raise ValueError(f"interval_distribution is {self.interval_distribution!r}; accepted are {accepted}")
        if not self.interval_power > 0:
            raise ValueError(f"interval_power is {self.interval_power}; accepted are numbers above 0")

    @property
    def num_clips(self) -> int:
        return 2

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        span = clip_span(self.num_frames_per_clip, self.frame_stride)
        if self.past_the_end == "reject":
            check_num_frames(video, span, f"{self.num_frames_per_clip} frames at stride {self.frame_stride}")
        num_starts = video.num_frames - span + 1
        if num_starts < 1:
            starts = generator.integers(0, video.num_frames, size=2)
        else:
            interval = self.interval(num_starts, generator.random())
            earlier = generator.integers(0, num_starts - interval)
            starts = np.array((earlier, earlier + interval))
        return ClipPlan(
            clips=tuple(
                place_clip(
                    video,
                    start=start,
                    num_frames_per_clip=self.num_frames_per_clip,
                    frame_stride=self.frame_stride,
                    past_the_end=self.past_the_end,
                    augmentation_group=group,
                )
                for group, start in enumerate(generator.permutation(starts).tolist())
            )
        )

    def interval(self, num_starts: int, uniform: float) -> int:
        """Frames from the earlier start to the later one, 0 to `num_starts` - 1, for a number uniform in [0, 1)."""
        return bisect_right(range(num_starts), uniform, key=lambda k: self.cumulative(k / num_starts)) - 1

    def cumulative(self, fraction: float) -> float:
        """The probability of an interval below this fraction of M."""
        power = self.interval_power
        if self.interval_distribution == "uniform":
            return fraction
        if self.interval_distribution == "increasing":
            return fraction ** (power + 1)
        return ((power + 1) * fraction - fraction ** (power + 1)) / power
