"""What a pretext task asks of a video: explicit frame indices, so that speed, loops and strides are data."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What is known of a video before any of it is decoded. `num_frames` counts decoded frames."""

    video_index: int
    num_frames: int
    frames_per_second: float
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """One clip: which frames, at what playback speed, and under which view's augmentation.

    `augmentation_group`: clips of one sample that share it are drawn the same crop, flip and colours.
    """

    frame_indices: tuple[int, ...]
    playback_speed: float = 1.0
    augmentation_group: int = 0


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """The clips of one sample, in the order in which the task expects them.

    `labels`: what the task has to tell (the order that clips were shuffled into, say): as many numbers for every
    sample of a sampler, none where the clips and their speeds say it all.
    """

    clips: tuple[ClipSpec, ...]
    labels: tuple[int, ...] = ()

    @property
    def wanted_frames(self) -> frozenset[int]:
        """The union of all clips' frames: what a decoder must produce."""
        return frozenset(index for clip in self.clips for index in clip.frame_indices)


@runtime_checkable
class ClipSampler(Protocol):
    """Plans a sample of a video. Implementations are frozen dataclasses of plain values: they travel to
    decode workers."""

    @property
    def num_clips(self) -> int: ...

    @property
    def num_frames_per_clip(self) -> int: ...

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        """Pure: equal videos and generator states give equal plans. Raises ValueError for a video that is too
        short under the sampler's past-the-end policy "reject"."""
        ...
