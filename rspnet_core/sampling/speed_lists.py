"""Clips of one video at every speed of a list, and an anchor: ordered ranking of more than two speeds.

An extension of RSPNet's two speeds (arXiv 2011.07949), of ours: no paper describes it.
"""

from dataclasses import dataclass

import numpy as np

from rspnet_core.sampling.clip_placement import (
    check_minimums,
    check_num_frames,
    check_speeds,
    place_clip,
    uniform_start,
)
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end, clip_span

ANCHOR = 0
"""The anchor's place in a plan; the keys follow from 1 on, the one at the anchor's own speed first."""


@dataclass(frozen=True, kw_only=True)
class SpeedListSampler:
    """Plans an anchor at a speed drawn uniformly from `playback_speeds`, then one key for each of these speeds: the
    anchor's own, the next ones up to the fastest, and on from the slowest. With two speeds these are the clips of
    `SpeedPairSampler`, in its order. So each place holds all speeds over a batch: keys in the order of their speeds
    would pass the network one speed at a time, and batch norm would take away what sets one apart from another.

    What is shared follows `SpeedPairSampler`: the anchor has a start and a view of its own; with
    `share_key_start` and `share_key_augmentation` all keys start at one frame under one crop and colours and
    differ in speed alone. Starts are uniform where the longest span fits, or anywhere in a video shorter than
    that, where `past_the_end` decides.

    The speeds say it all: there are no labels.
    """

    num_frames_per_clip: int = 16
    playback_speeds: tuple[int, ...] = (1, 2, 4)
    past_the_end: PastTheEnd = "loop"
    share_key_start: bool = True
    share_key_augmentation: bool = True

    def __post_init__(self) -> None:
        check_past_the_end(self.past_the_end)
        check_minimums(self, num_frames_per_clip=2)
        check_speeds("playback_speeds", self.playback_speeds)

    @property
    def num_clips(self) -> int:
        return 1 + len(self.playback_speeds)

    @property
    def longest_span(self) -> int:
        """Frames that a clip at the fastest speed covers: a shorter video is subject to `past_the_end`."""
        return clip_span(self.num_frames_per_clip, self.playback_speeds[-1])

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        if self.past_the_end == "reject":
            what_for = f"{self.num_frames_per_clip} frames at speed {self.playback_speeds[-1]}"
            check_num_frames(video, self.longest_span, what_for)
        own = int(generator.integers(len(self.playback_speeds)))
        keys = self.playback_speeds[own:] + self.playback_speeds[:own]
        speeds = (keys[0], *keys)
        starts = [uniform_start(video.num_frames, self.longest_span, generator) for _ in speeds]
        if self.share_key_start:
            starts[2:] = [starts[1]] * (len(speeds) - 2)
        groups = (0, *[1] * (len(speeds) - 1)) if self.share_key_augmentation else range(len(speeds))
        return ClipPlan(
            clips=tuple(
                place_clip(
                    video,
                    start=start,
                    num_frames_per_clip=self.num_frames_per_clip,
                    frame_stride=speed,
                    past_the_end=self.past_the_end,
                    augmentation_group=group,
                )
                for start, speed, group in zip(starts, speeds, groups, strict=True)
            )
        )
