"""What samplers share: where a clip may start, its frames, and the refusal of a video that is too short."""

from itertools import pairwise

import numpy as np

from rspnet_core.sampling.clip_plan import ClipSpec, VideoInfo
from rspnet_core.sampling.frame_indices import PastTheEnd, frame_indices


def uniform_start(num_frames: int, span: int, generator: np.random.Generator) -> int:
    """Uniform over every start from which `span` frames fit; over the whole video where none does, and the caller's
    policy decides what lies past the end."""
    last_start = num_frames - span
    return int(generator.integers(0, last_start if last_start >= 0 else num_frames - 1, endpoint=True))


def place_clip(
    video: VideoInfo,
    *,
    start: int,
    num_frames_per_clip: int,
    frame_stride: int = 1,
    past_the_end: PastTheEnd = "reject",
    augmentation_group: int = 0,
) -> ClipSpec:
    """The clip from `start` on; its playback speed is its stride. Raises ValueError as `frame_indices` does."""
    indices = frame_indices(
        start=start,
        num_frames_per_clip=num_frames_per_clip,
        frame_stride=frame_stride,
        num_frames=video.num_frames,
        past_the_end=past_the_end,
    )
    return ClipSpec(frame_indices=indices, playback_speed=float(frame_stride), augmentation_group=augmentation_group)


def check_num_frames(video: VideoInfo, needed: int, what_for: str) -> None:
    """Raises ValueError for a video with fewer than `needed` frames."""
    if video.num_frames < needed:
        raise ValueError(
            f"video {video.video_index} has {video.num_frames} frames; {needed} or more are needed for {what_for}"
        )


def check_minimums(config: object, **minimums: int) -> None:
    """Raises ValueError for a field of `config` below its minimum."""
    for name, minimum in minimums.items():
        if getattr(config, name) < minimum:
            raise ValueError(f"{name} is {getattr(config, name)}; accepted are whole numbers from {minimum} on")


def check_speeds(name: str, speeds: tuple[int, ...]) -> None:
    """Raises ValueError unless there are two or more speeds, different and from 1 on, in rising order."""
    if len(speeds) < 2 or speeds[0] < 1 or any(slow >= fast for slow, fast in pairwise(speeds)):
        raise ValueError(f"{name} is {speeds}; accepted: two or more different strides from 1 on, in rising order")
