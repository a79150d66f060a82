"""Which frames a classifier is trained and tested on. Imports numpy alone."""

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from rspnet_core.sampling.clip_placement import check_minimums, check_num_frames, place_clip, uniform_start
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSpec, VideoInfo
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end, clip_span

Placement = Literal["window", "cover"]


@dataclass(frozen=True, kw_only=True)
class TrainingClipSampler:
    """Plans one clip a video.

    `placement`: "window" takes frames `frame_stride` apart from a start that is uniform over the video. "cover" spreads
    the frames over the whole video (the published recipes for Something-Something V2): with F frames in the video and T
    in the clip, frame i is floor((i + u) F / T), with one u in [0, 1) a clip; in a video of fewer than T frames some
    come again, and neither `frame_stride` nor `past_the_end` says anything.
    """

    num_frames_per_clip: int = 16
    frame_stride: int = 1
    placement: Placement = "window"
    past_the_end: PastTheEnd = "loop"

    def __post_init__(self) -> None:
        check_past_the_end(self.past_the_end)
        check_minimums(self, num_frames_per_clip=1, frame_stride=1)
        if self.placement not in get_args(Placement):
            raise ValueError(f"placement is {self.placement!r}; accepted are {', '.join(get_args(Placement))}")
        if self.placement == "cover" and self.frame_stride != 1:
            raise ValueError(
                f"frame_stride is {self.frame_stride} with placement 'cover'; accepted is 1: it says nothing"
            )

    @property
    def num_clips(self) -> int:
        return 1

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        if self.placement == "cover":
            return ClipPlan(clips=(self.covering_clip(video, float(generator.random())),))
        span = clip_span(self.num_frames_per_clip, self.frame_stride)
        if self.past_the_end == "reject":
            check_num_frames(video, span, f"a clip of {self.num_frames_per_clip} frames at stride {self.frame_stride}")
        clip = place_clip(
            video,
            start=uniform_start(video.num_frames, span, generator),
            num_frames_per_clip=self.num_frames_per_clip,
            frame_stride=self.frame_stride,
            past_the_end=self.past_the_end,
        )
        return ClipPlan(clips=(clip,))

    def covering_clip(self, video: VideoInfo, offset: float, augmentation_group: int = 0) -> ClipSpec:
        """`offset`, in 0 to below 1, is in multiples of the stride."""
        stride = video.num_frames / self.num_frames_per_clip
        places = np.floor((np.arange(self.num_frames_per_clip) + offset) * stride).astype(int)
        # A product such as 2.9999999999999996 x 10 may round up to the number of frames.
        indices = np.minimum(places, video.num_frames - 1)
        return ClipSpec(
            frame_indices=tuple(indices.tolist()), playback_speed=stride, augmentation_group=augmentation_group
        )


@dataclass(frozen=True, kw_only=True)
class EvaluationClipSampler:
    """Plans `num_clips` clips of the kind that was trained on, each of them `num_crops` times; nothing is random.

    Windows start at evenly spaced frames, from the first possible one to the last. Covering clips have the offsets
    (k + 1/2) / num_clips: where the published code has its two is not known. The augmentation group is the crop's
    place; all clips of one crop come together.
    """

    training: TrainingClipSampler = field(default_factory=TrainingClipSampler)
    num_clips_per_crop: int = 10
    num_crops: int = 1

    def __post_init__(self) -> None:
        check_minimums(self, num_clips_per_crop=1, num_crops=1)

    @property
    def num_clips(self) -> int:
        return self.num_clips_per_crop * self.num_crops

    @property
    def num_frames_per_clip(self) -> int:
        return self.training.num_frames_per_clip

    def plan(self, video: VideoInfo, generator: np.random.Generator | None = None) -> ClipPlan:  # noqa: ARG002
        return ClipPlan(clips=tuple(clip for crop in range(self.num_crops) for clip in self._clips(video, crop)))

    def _clips(self, video: VideoInfo, crop: int) -> list[ClipSpec]:
        training, num_clips = self.training, self.num_clips_per_crop
        if training.placement == "cover":
            return [training.covering_clip(video, (k + 0.5) / num_clips, crop) for k in range(num_clips)]
        evenly = EvenlySpacedSampler(
            num_clips=num_clips,
            num_frames_per_clip=training.num_frames_per_clip,
            frame_stride=training.frame_stride,
            past_the_end=training.past_the_end,
        )
        return [
            ClipSpec(frame_indices=clip.frame_indices, playback_speed=clip.playback_speed, augmentation_group=crop)
            for clip in evenly.plan(video).clips
        ]
