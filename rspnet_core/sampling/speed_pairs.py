"""RSPNet's three clips of a video: two at one playback speed, one at another (AAAI 2021, arXiv 2011.07949,
Fig. 2)."""

from dataclasses import dataclass

import numpy as np

from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end, clip_span, frame_indices

QUERY, SAME_SPEED, OTHER_SPEED = range(3)
"""The clips' places in a plan: query c_i, positive c_j at the same speed, negative c_k at another speed."""


@dataclass(frozen=True, kw_only=True)
class SpeedPairSampler:
    """Plans (query, same-speed key, other-speed key).

    The query's speed is drawn uniformly from `playback_speeds`, the other speed uniformly from the rest. (The
    published code gives exactly half of each local batch the first of its two speeds; a draw that belongs to
    the video does not depend on the batch.) Query and keys start independently and uniformly where the
    longest span fits, or anywhere in a video shorter than that, where `past_the_end` decides.

    `share_key_start` and `share_key_augmentation` are on in the published code: the two keys then show the
    same moment under the same crop and colours and differ in speed alone, which takes appearance out of the
    comparison.
    """

    num_frames_per_clip: int = 16
    playback_speeds: tuple[int, ...] = (1, 2)
    past_the_end: PastTheEnd = "loop"
    share_key_start: bool = True
    share_key_augmentation: bool = True

    def __post_init__(self) -> None:
        check_past_the_end(self.past_the_end)
        if self.num_frames_per_clip < 2:
            raise ValueError(f"num_frames_per_clip is {self.num_frames_per_clip}; speed shows from 2 frames on")
        distinct = set(self.playback_speeds)
        if len(distinct) < 2 or len(distinct) != len(self.playback_speeds) or min(distinct) < 1:
            raise ValueError(
                f"playback_speeds is {self.playback_speeds}; accepted: two or more different strides from 1 on"
            )

    @property
    def num_clips(self) -> int:
        return 3

    @property
    def longest_span(self) -> int:
        """Frames that a clip at the fastest speed covers: a shorter video is subject to `past_the_end`."""
        return clip_span(self.num_frames_per_clip, max(self.playback_speeds))

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        if self.past_the_end == "reject" and video.num_frames < self.longest_span:
            raise ValueError(
                f"video {video.video_index} has {video.num_frames} frames; {self.longest_span} are needed "
                f"for {self.num_frames_per_clip} frames at speed {max(self.playback_speeds)}"
            )
        speed, other_speed = generator.choice(self.playback_speeds, size=2, replace=False).tolist()
        query_start, key_start, other_start = self._starts(video.num_frames, generator)
        if self.share_key_start:
            other_start = key_start
        other_group = 1 if self.share_key_augmentation else 2
        return ClipPlan(
            clips=(
                self._clip(video, query_start, speed, augmentation_group=0),
                self._clip(video, key_start, speed, augmentation_group=1),
                self._clip(video, other_start, other_speed, augmentation_group=other_group),
            )
        )

    def _starts(self, num_frames: int, generator: np.random.Generator) -> list[int]:
        last_start = num_frames - self.longest_span
        return generator.integers(0, last_start if last_start >= 0 else num_frames - 1, size=3, endpoint=True).tolist()

    def _clip(self, video: VideoInfo, start: int, speed: int, augmentation_group: int) -> ClipSpec:
        indices = frame_indices(
            start=start,
            num_frames_per_clip=self.num_frames_per_clip,
            frame_stride=speed,
            num_frames=video.num_frames,
            past_the_end=self.past_the_end,
        )
        return ClipSpec(frame_indices=indices, playback_speed=float(speed), augmentation_group=augmentation_group)
