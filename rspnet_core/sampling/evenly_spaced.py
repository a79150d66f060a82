"""Evenly spaced clips of a whole video: what evaluation looks at (RSPNet's supplement: 10 clips a video)."""

from dataclasses import dataclass

import numpy as np

from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, clip_span, frame_indices


@dataclass(frozen=True, kw_only=True)
class EvenlySpacedSampler:
    """`num_clips` clips whose starts are spread evenly from the first to the last possible one; nothing is
    random.

    A video shorter than a clip's span gives equal clips that go past its end under `past_the_end`.
    """

    num_clips: int = 10
    num_frames_per_clip: int = 16
    frame_stride: int = 1
    past_the_end: PastTheEnd = "loop"

    def __post_init__(self) -> None:
        for name in ("num_clips", "num_frames_per_clip", "frame_stride"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are whole numbers from 1 on")

    def plan(self, video: VideoInfo, generator: np.random.Generator | None = None) -> ClipPlan:  # noqa: ARG002
        last_start = max(0, video.num_frames - clip_span(self.num_frames_per_clip, self.frame_stride))
        starts = np.linspace(0, last_start, self.num_clips).round().astype(int).tolist()
        return ClipPlan(clips=tuple(self._clip(video, start) for start in starts))

    def _clip(self, video: VideoInfo, start: int) -> ClipSpec:
        indices = frame_indices(
            start=start,
            num_frames_per_clip=self.num_frames_per_clip,
            frame_stride=self.frame_stride,
            num_frames=video.num_frames,
            past_the_end=self.past_the_end,
        )
        return ClipSpec(frame_indices=indices, playback_speed=float(self.frame_stride))
