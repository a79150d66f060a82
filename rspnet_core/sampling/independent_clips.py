"""rho clips of a video for image methods carried over to video: MoCo and SimCLR ("A Large-Scale Study on Unsupervised
Spatiotemporal Representation Learning", CVPR 2021, arXiv 2104.14558)."""

from dataclasses import dataclass

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, place_clip
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end, clip_span


@dataclass(frozen=True, kw_only=True)
class IndependentClipSampler:
    """Plans `num_clips` (the paper's rho) clips with starts uniform anywhere in the video, in order of time, as the
    published code leaves them; each has its own augmentation group.

    `min_frames_between_starts` and `max_frames_between_starts` limit the distance of neighbours in time; all starts
    that keep to the limits are equally likely. (The published code limits the gap from one clip's end to the next
    one's start and tries at random, taking the best of its tries where none succeeds.) With a minimum above 0, a video
    that has no room for all clips is refused (ValueError).

    In a video shorter than a clip's span, starts lie anywhere and `past_the_end` decides.
    """

    num_clips: int = 2
    num_frames_per_clip: int = 8
    frame_stride: int = 8
    min_frames_between_starts: int = 0
    max_frames_between_starts: int | None = None
    past_the_end: PastTheEnd = "loop"

    def __post_init__(self) -> None:
        check_past_the_end(self.past_the_end)
        check_minimums(self, num_clips=1, num_frames_per_clip=1, frame_stride=1, min_frames_between_starts=0)
        maximum = self.max_frames_between_starts
        if maximum is not None and maximum < self.min_frames_between_starts:
            raise ValueError(
                f"max_frames_between_starts is {maximum}; accepted are none, or numbers from "
                f"min_frames_between_starts on, {self.min_frames_between_starts}"
            )

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        span = clip_span(self.num_frames_per_clip, self.frame_stride)
        needed = span + (self.num_clips - 1) * self.min_frames_between_starts
        if self.past_the_end == "reject" or self.min_frames_between_starts > 0:
            clips = f"{self.num_clips} clips that span {span} frames"
            check_num_frames(video, needed, f"{clips}, starts {self.min_frames_between_starts} or more apart")
        num_starts = video.num_frames - span + 1
        starts = self._starts(num_starts if num_starts >= 1 else video.num_frames, generator)
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
                for group, start in enumerate(starts)
            )
        )

    def _starts(self, num_starts: int, generator: np.random.Generator) -> list[int]:
        if self.min_frames_between_starts == 0 and self.max_frames_between_starts is None:
            return np.sort(generator.integers(num_starts, size=self.num_clips)).tolist()
        # One start after the other, each weighted by the number of ways to place the clips that follow it.
        first, last = self._next_starts(num_starts)
        low, high, starts = 0, num_starts, []
        for ways in self._num_ways(num_starts):
            weights = ways[low:high]
            start = low + int(generator.choice(high - low, p=weights / weights.sum()))
            starts.append(start)
            low, high = int(first[start]), int(last[start])
        return starts

    def _num_ways(self, num_starts: int) -> list[np.ndarray]:
        """For each clip in order of time, over its starts: in how many ways the clips after it can be placed."""
        first, last = self._next_starts(num_starts)
        num_ways = [np.ones(num_starts)]
        for _ in range(self.num_clips - 1):
            sums = np.concatenate(([0.0], num_ways[0].cumsum()))
            num_ways.insert(0, sums[last] - sums[first])
        return num_ways

    def _next_starts(self, num_starts: int) -> tuple[np.ndarray, np.ndarray]:
        """Over the starts of one clip: the first start that the next one may have, and the one after its last."""
        starts = np.arange(num_starts)
        maximum = num_starts if self.max_frames_between_starts is None else self.max_frames_between_starts
        first = np.minimum(starts + self.min_frames_between_starts, num_starts)
        return first, np.minimum(starts + maximum + 1, num_starts)
