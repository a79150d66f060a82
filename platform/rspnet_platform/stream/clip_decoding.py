"""From one video to the crops of its clips: plan, union of frames, one decode, crop and resize."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import Protocol

import numpy as np

from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSampler, VideoInfo
from rspnet_core.sampling.views import ViewParameters
from rspnet_platform.shards.i420 import Planes
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.crops import crop_and_resize
from rspnet_platform.stream.frame_readers import FrameReader, IndexedReader


class View(Protocol):
    """Draws how a clip is looked at: `ViewConfig` in training, `CentreView` in evaluation."""

    @property
    def crop_size(self) -> int: ...

    def draw(self, generator: np.random.Generator, *, height: int, width: int, num_frames: int) -> ViewParameters: ...


@dataclass(frozen=True, kw_only=True)
class SampleRecipe:
    """All that decides a sample beside its video and epoch. Plain values: it travels to decode workers.

    `views`: of augmentation group 0, 1, ..., and again from the first on; all crop to one size. `reader` is that of
    the data set's profile: see `frame_reader`.
    """

    sampler: ClipSampler
    views: tuple[View, ...]
    seed: int
    reader: FrameReader = field(default_factory=IndexedReader)

    def __post_init__(self) -> None:
        sizes = {view.crop_size for view in self.views}
        if len(sizes) != 1:
            raise ValueError(f"views crop to {sorted(sizes) or 'nothing'}; accepted: one or more, of one crop_size")

    @property
    def crop_size(self) -> int:
        return self.views[0].crop_size


@dataclass(frozen=True, kw_only=True)
class Sample:
    """planes: uint8 [num_clips, time, crop_size * 3 // 2, crop_size]; view_numbers: float32 [num_clips, time,
    view_numbers]; playback_speeds: float32 [num_clips]; labels: int64 [num_labels], one 0 for a plan without any."""

    planes: np.ndarray
    view_numbers: np.ndarray
    playback_speeds: np.ndarray
    labels: np.ndarray


def decode_sample(video: EncodedVideo, epoch: int, recipe: SampleRecipe) -> Sample:
    """The clips of one video in one epoch. Raises DamagedVideoError where its bytes do not give the frames."""
    [outcome] = decode_visit(video, [epoch], recipe)
    if isinstance(outcome, DamagedVideoError):
        raise outcome
    return outcome


def decode_visit(video: EncodedVideo, epochs: Sequence[int], recipe: SampleRecipe) -> list[Sample | DamagedVideoError]:
    """One video's samples of several epochs from one decode of all their frames; each is what it would be alone."""
    plans = [sample_plan(video.info, epoch, recipe) for epoch in epochs]
    try:
        frames = recipe.reader.read(video, frozenset().union(*(plan.wanted_frames for plan in plans)))
    except DamagedVideoError as error:
        if len(epochs) == 1:
            return [error]
        # One epoch's frames may lie where the damage is, and another's not.
        return [outcome for epoch in epochs for outcome in decode_visit(video, [epoch], recipe)]
    return [cut_sample(video.info, epoch, plan, frames, recipe) for epoch, plan in zip(epochs, plans, strict=True)]


def sample_plan(video: VideoInfo, epoch: int, recipe: SampleRecipe) -> ClipPlan:
    return recipe.sampler.plan(video, random_stream(recipe.seed, epoch, video.video_index, "clips"))


def cut_sample(
    video: VideoInfo, epoch: int, plan: ClipPlan, frames: Mapping[int, Planes], recipe: SampleRecipe
) -> Sample:
    """The planned clips as their views show them, out of the decoded frames."""
    views = draw_views(plan, video, epoch, recipe)
    return sample_of(plan, views, cut_planes(plan, views, frames, recipe.crop_size))


def cut_planes(
    plan: ClipPlan, views: Mapping[int, ViewParameters], frames: Mapping[int, Planes], size: int
) -> np.ndarray:
    """uint8 [num_clips, time, size * 3 // 2, size]: each clip's frames, cropped as its view says."""
    planes = np.empty((len(plan.clips), len(plan.clips[0].frame_indices), size * 3 // 2, size), np.uint8)
    place = 0
    for group, clips in groupby(plan.clips, lambda clip: clip.augmentation_group):
        indices = [clip.frame_indices for clip in clips]
        out = planes[place : place + len(indices)].reshape(-1, size * 3 // 2, size)
        boxes = views[group].crops  # one, or one for each frame of a clip
        crops = boxes * len(indices) if len(boxes) > 1 else boxes
        crop_and_resize([frames[i] for i in chain(*indices)], crops, size, out)
        place += len(indices)
    return planes


def sample_of(plan: ClipPlan, views: Mapping[int, ViewParameters], planes: np.ndarray) -> Sample:
    """The cut clips with all that is known of them; `views` by augmentation group."""
    return Sample(
        planes=planes,
        view_numbers=np.stack([views[clip.augmentation_group].numbers for clip in plan.clips]),
        playback_speeds=np.array([clip.playback_speed for clip in plan.clips], dtype=np.float32),
        labels=np.array(plan.labels or (0,), dtype=np.int64),
    )


def draw_views(plan: ClipPlan, video: VideoInfo, epoch: int, recipe: SampleRecipe) -> dict[int, ViewParameters]:
    """One view for each augmentation group, each from a stream of its own."""
    groups = {clip.augmentation_group for clip in plan.clips}
    return {
        group: recipe.views[group % len(recipe.views)].draw(
            random_stream(recipe.seed, epoch, video.video_index, f"augmentation/{group}"),
            height=video.height,
            width=video.width,
            num_frames=recipe.sampler.num_frames_per_clip,
        )
        for group in groups
    }


def sample_num_bytes(recipe: SampleRecipe) -> int:
    """Bytes of a sample's planes, which are nearly all of it."""
    frames = recipe.sampler.num_clips * recipe.sampler.num_frames_per_clip
    return frames * recipe.crop_size**2 * 3 // 2
