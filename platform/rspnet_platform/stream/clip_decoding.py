"""From one video's packets to the crops of its clips: plan, union of frames, one decode, crop and resize."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSampler, VideoInfo
from rspnet_core.sampling.views import ViewParameters
from rspnet_platform.shards.dataset import EncodedVideo
from rspnet_platform.shards.packet_reader import read_frames
from rspnet_platform.stream.crops import crop_and_resize


class View(Protocol):
    """Draws how a clip is looked at: `ViewConfig` in training, `CentreView` in evaluation."""

    @property
    def crop_size(self) -> int: ...

    def draw(self, generator: np.random.Generator, *, height: int, width: int) -> ViewParameters: ...


@dataclass(frozen=True, kw_only=True)
class SampleRecipe:
    """All that decides a sample beside its video and epoch. Plain values: it travels to decode workers."""

    sampler: ClipSampler
    view: View
    seed: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """planes: uint8 [num_clips, time, crop_size * 3 // 2, crop_size]; view_numbers: float32 [num_clips, view_numbers];
    playback_speeds: float32 [num_clips]."""

    planes: np.ndarray
    view_numbers: np.ndarray
    playback_speeds: np.ndarray


def decode_sample(video: EncodedVideo, epoch: int, recipe: SampleRecipe) -> Sample:
    """The clips of one video in one epoch. Raises DamagedVideoError where its packets do not give the frames."""
    index = video.info.video_index
    plan = recipe.sampler.plan(video.info, random_stream(recipe.seed, epoch, index, "clips"))
    views = draw_views(plan, video.info, epoch, recipe)
    frames = read_frames(video.data, video.index, plan.wanted_frames)
    planes = [
        crop_and_resize(
            [frames[i] for i in clip.frame_indices],
            views[clip.augmentation_group].crop,
            recipe.view.crop_size,
        )
        for clip in plan.clips
    ]
    return Sample(
        planes=np.stack(planes),
        view_numbers=np.array([views[clip.augmentation_group].numbers for clip in plan.clips], dtype=np.float32),
        playback_speeds=np.array([clip.playback_speed for clip in plan.clips], dtype=np.float32),
    )


def draw_views(plan: ClipPlan, video: VideoInfo, epoch: int, recipe: SampleRecipe) -> dict[int, ViewParameters]:
    """One view for each augmentation group, each from a stream of its own."""
    groups = {clip.augmentation_group for clip in plan.clips}
    return {
        group: recipe.view.draw(
            random_stream(recipe.seed, epoch, video.video_index, f"augmentation/{group}"),
            height=video.height,
            width=video.width,
        )
        for group in groups
    }
