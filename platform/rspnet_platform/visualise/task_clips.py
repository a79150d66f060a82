"""The clips of a video as a task compares them, and the maps of their similarity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rspnet_core.augmentation import to_clips
from rspnet_core.evaluation.features import evaluating
from rspnet_core.evaluation.similarity_maps import EmbeddedClips, SimilarityMaps, pair_maps, upsample_maps
from rspnet_core.pretext.task_config import TaskConfig
from rspnet_core.sampling.views import CentreView
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample, sample_plan
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.visualise.chosen_videos import ChosenVideo, read_videos, say_left_out
from rspnet_platform.visualise.compared_clips import ComparedClips


@dataclass(frozen=True, kw_only=True)
class ShownClip:
    """`pictures`: what the encoder was given, before normalisation, uint8 [time, height, width, 3]; `frame_indices`
    are the video's."""

    pictures: np.ndarray
    frame_indices: tuple[int, ...]
    playback_speed: float


@dataclass(frozen=True, kw_only=True)
class TaskClips:
    """One video's clips, in the order of the task's plan; `inputs` are as the encoder takes them."""

    video: ChosenVideo
    clips: tuple[ShownClip, ...]
    inputs: Float[Tensor, "num_clips channel time height width"]


@dataclass(frozen=True, kw_only=True)
class HeadMap:
    """What one clip shares with another by one head, in units of the cosine: `values` at the size of the clip, float32
    [time, height, width]; `map_size` is that of the map itself; `cosine` = mean of the map + `offset`."""

    head: str
    values: np.ndarray
    map_size: tuple[int, ...]
    offset: float
    cosine: float


@dataclass(frozen=True, kw_only=True)
class ClipMaps:
    """A clip's maps, one a head."""

    name: str
    clip: ShownClip
    maps: tuple[HeadMap, ...]


@dataclass(frozen=True, kw_only=True)
class ComparedPair:
    """Two clips of a video that the task compares, each with its maps."""

    video: ChosenVideo
    number: int
    first: ClipMaps
    second: ClipMaps


def task_clips(
    dataset: ShardedDataset, videos: Sequence[ChosenVideo], config: TaskConfig, *, decoder: Decoder | None, seed: int
) -> Iterator[TaskClips]:
    """Planned by the task's own sampler from (seed, video), through the centre of the picture, without augmentation.
    Videos that are damaged, or too short for the sampler, are left out, which is said."""
    recipe = SampleRecipe(
        sampler=config.clips,
        views=(CentreView(crop_size=config.view.crop_size),),
        seed=seed,
        reader=frame_reader(dataset.description, decoder),
    )
    for video, encoded in read_videos(dataset, videos):
        try:
            plan = sample_plan(encoded.info, 0, recipe)
            sample = decode_sample(encoded, 0, recipe)
        except (DamagedVideoError, ValueError) as error:
            say_left_out(video, error)
            continue
        planes, numbers = torch.from_numpy(sample.planes)[None], torch.from_numpy(sample.view_numbers)[None]
        pictures = to_clips(planes, numbers, "zero_to_one")[0].clamp(0, 1).mul(255).round().to(torch.uint8)
        yield TaskClips(
            video=video,
            clips=tuple(
                ShownClip(pictures=shown, frame_indices=spec.frame_indices, playback_speed=spec.playback_speed)
                for shown, spec in zip(pictures.permute(0, 2, 3, 4, 1).numpy(), plan.clips, strict=True)
            ),
            inputs=to_clips(planes, numbers, config.normalisation)[0],
        )


def compare(clips: TaskClips, compared: ComparedClips, device: torch.device) -> list[ComparedPair]:
    """The maps of each pair, by each head; networks in eval mode, on `device`, where they are already."""
    feature_maps = []
    for networks, clip in zip(compared.networks, clips.inputs.to(device), strict=True):
        with evaluating(networks.encoder):
            feature_maps.append(networks.encoder(clip[None]))
    return [
        _compared_pair(clips, compared, feature_maps, places, number)
        for number, places in enumerate(compared.pairs, start=1)
    ]


def _compared_pair(
    clips: TaskClips, compared: ComparedClips, feature_maps: Sequence[Tensor], places: tuple[int, int], number: int
) -> ComparedPair:
    maps: tuple[list[HeadMap], list[HeadMap]] = ([], [])
    size = clips.inputs.shape[2:]
    for head in compared.head_names:
        sides = [
            EmbeddedClips(feature_map=feature_maps[place], head=compared.networks[place].heads[head])
            for place in places
        ]
        with evaluating(sides[0].head), evaluating(sides[1].head):
            for side, found in zip(maps, pair_maps(*sides), strict=True):
                side.append(_head_map(head, found, size))
    first, second = (
        ClipMaps(name=compared.networks[place].name, clip=clips.clips[place], maps=tuple(side))
        for place, side in zip(places, maps, strict=True)
    )
    return ComparedPair(video=clips.video, number=number, first=first, second=second)


def _head_map(head: str, found: SimilarityMaps, size: Sequence[int]) -> HeadMap:
    num_frames, height, width = size
    values = upsample_maps(found.cosine_values, num_frames=num_frames, height=height, width=width)
    return HeadMap(
        head=head,
        values=values[0].float().cpu().numpy(),
        map_size=tuple(found.values.shape[1:]),
        offset=found.cosine_offset.item(),
        cosine=found.cosine.item(),
    )
