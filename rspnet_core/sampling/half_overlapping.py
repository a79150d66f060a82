"""Clip after clip through a whole video, each beginning in the middle of the one before (CoCLR's retrieval)."""

from dataclasses import dataclass

import numpy as np

from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, frame_indices


@dataclass(frozen=True, kw_only=True)
class HalfOverlappingSampler:
    """All half-overlapping clips of a video, and the last one again and again until there are `num_clips`: samples of
    a data set have one shape. `num_windows` tells how many come before the repetitions.

    A clip of `num_frames_per_clip` frames `frame_stride` apart covers their product; the next begins half of that later
    (CoCLR's script: half, less one frame). Clips end inside the video: what is left behind the last one, less than half
    a clip, is not seen. Of a video shorter than one clip there is one, which goes past its end under `past_the_end`
    (CoCLR's script repeats the first frame instead).
    """

    num_clips: int
    num_frames_per_clip: int = 16
    frame_stride: int = 1
    past_the_end: PastTheEnd = "loop"

    def __post_init__(self) -> None:
        for name in ("num_clips", "num_frames_per_clip", "frame_stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are whole numbers from 1 on")

    def plan(self, video: VideoInfo, generator: np.random.Generator | None = None) -> ClipPlan:  # noqa: ARG002
        """Raises ValueError for a video of more windows than `num_clips`."""
        starts = window_starts(video.num_frames, self.num_frames_per_clip, self.frame_stride)
        if len(starts) > self.num_clips:
            raise ValueError(f"a video of {video.num_frames} frames has {len(starts)} windows, more than num_clips")
        clips = [self._clip(video, start) for start in starts]
        return ClipPlan(clips=tuple(clips + [clips[-1]] * (self.num_clips - len(clips))))

    def _clip(self, video: VideoInfo, start: int) -> ClipSpec:
        indices = frame_indices(
            start=start,
            num_frames_per_clip=self.num_frames_per_clip,
            frame_stride=self.frame_stride,
            num_frames=video.num_frames,
            past_the_end=self.past_the_end,
        )
        return ClipSpec(frame_indices=indices, playback_speed=float(self.frame_stride))


def window_starts(num_frames: int, num_frames_per_clip: int, frame_stride: int) -> range:
    """The first frame of each window; of a video shorter than one, frame 0."""
    window = num_frames_per_clip * frame_stride
    return range(0, max(0, num_frames - window) + 1, max(1, window // 2))


def num_windows(num_frames: int, num_frames_per_clip: int, frame_stride: int) -> int:
    return len(window_starts(num_frames, num_frames_per_clip, frame_stride))
