"""Frame order prediction's shuffled frames (OPN, Lee et al., ICCV 2017, arXiv 1708.01246)."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, uniform_start
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo


def order_classes(num_frames: int) -> tuple[tuple[int, ...], ...]:
    """The orders that can be told apart, by label: of each permutation and its reverse the lexicographically first,
    in lexicographic order. In the order p the frame shown at place i is number p[i] in time."""
    return tuple(order for order in permutations(range(num_frames)) if order[0] < order[-1])


@dataclass(frozen=True, kw_only=True)
class FrameOrderSampler:
    """Plans `num_clips` single frames (clips of one frame) in a random order. The label is the order's place in
    `order_classes`: 12 classes for 4 frames, since an order and its reverse look alike for many motions; which of the
    two is shown is random.

    Deviation, and a large one: the paper mines its frames offline, by optical flow, where there is motion, and crops
    there. A plan knows no pixels: here the frames lie anywhere, each `min_frame_spacing` to `max_frame_spacing` frames
    after the one before it, each spacing drawn uniformly. Both numbers are ours. A video too short for the drawn
    spacings has them drawn from up to what fits, and is refused (ValueError) where the smallest does not.

    All frames share one augmentation group: one crop and one flip, as published for the flip. The paper's shift of
    each frame by up to 5 pixels and its choice of one colour channel for each frame are the task's, on the device.
    """

    num_clips: int = 4
    min_frame_spacing: int = 5
    max_frame_spacing: int = 15

    def __post_init__(self) -> None:
        check_minimums(self, num_clips=2, min_frame_spacing=1)
        if self.num_clips > 6:
            raise ValueError(f"num_clips is {self.num_clips}; accepted are 2 to 6: 7 frames are 2,520 classes")
        if self.max_frame_spacing < self.min_frame_spacing:
            raise ValueError(
                f"max_frame_spacing is {self.max_frame_spacing}; accepted are numbers from min_frame_spacing on, "
                f"{self.min_frame_spacing}"
            )

    @property
    def num_frames_per_clip(self) -> int:
        return 1

    @property
    def num_classes(self) -> int:
        return len(order_classes(self.num_clips))

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        num_spacings = self.num_clips - 1
        shortest = num_spacings * self.min_frame_spacing + 1
        check_num_frames(video, shortest, f"{self.num_clips} frames, {self.min_frame_spacing} apart")
        widest = min(self.max_frame_spacing, (video.num_frames - 1) // num_spacings)
        spacings = generator.integers(self.min_frame_spacing, widest, size=num_spacings, endpoint=True)
        offsets = [0, *spacings.cumsum().tolist()]
        start = uniform_start(video.num_frames, offsets[-1] + 1, generator)
        label = int(generator.integers(self.num_classes))
        order = order_classes(self.num_clips)[label]
        if generator.random() < 0.5:
            order = order[::-1]
        return ClipPlan(
            clips=tuple(ClipSpec(frame_indices=(start + offsets[number],)) for number in order), labels=(label,)
        )
