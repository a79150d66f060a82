"""Features of a data set for several protocols and encoders at once, or what is left of them to compute."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.retrieval_protocol import Pooling
from rspnet_core.sampling.half_overlapping import HalfOverlappingSampler
from rspnet_core.sampling.views import CentreView
from rspnet_platform.command_line import say
from rspnet_platform.inference.embedding_actor import num_videos_per_block
from rspnet_platform.inference.frozen_evaluation_passes import (
    FeatureKind,
    FeatureSource,
    Pass,
    passes,
    windows_of_videos,
)
from rspnet_platform.inference.frozen_feature_actor import column, feature_batches
from rspnet_platform.inference.unread_videos import unread_videos
from rspnet_platform.inference.video_parts import VIDEO_INDEX, Batch, PartsLeft, in_parts
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.waiting_bar import waiting_bar


@dataclass(frozen=True, kw_only=True)
class KindOfFeatures:
    """`video_indices` ascending; `of_encoder` by name, float32 [num_videos, numbers]. `damaged` are the videos that are
    missing, as `unread_videos` lists them."""

    video_indices: np.ndarray
    of_encoder: Mapping[str, np.ndarray]
    damaged: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class PassLeft:
    """A pass, and what an interrupted evaluation had finished of it, by part."""

    planned: Pass
    kept: Mapping[int, Batch]

    @property
    def parts(self) -> list[int]:
        """That are to be computed."""
        return [part for part in range(len(self.planned.members)) if part not in self.kept]

    @property
    def members(self) -> list[np.ndarray]:
        return [self.planned.members[part] for part in self.parts]


def compute_features(
    source: FeatureSource, encoders: Mapping[str, VideoEncoder], kinds: Sequence[FeatureKind]
) -> dict[FeatureKind, KindOfFeatures]:
    """Goes on from what `source.kept` has, and leaves there what it finishes. Needs a connected Ray. Raises ValueError
    where no video is left that is not damaged."""
    work = {
        windows: [
            PassLeft(planned=each, kept=source.kept.read(each.name, each.members)) for each in passes(source, windows)
        ]
        for windows in sorted({kind.windows for kind in kinds})
    }
    say_what_is_kept(source, [each for of_windows in work.values() for each in of_windows])
    on_ray = ray.put(dict(encoders))
    result: dict[FeatureKind, KindOfFeatures] = {}
    for windows, of_windows in work.items():
        poolings: tuple[Pooling, ...] = tuple(dict.fromkeys(kind.pooling for kind in kinds if kind.windows == windows))
        parts = [part for part in all_parts(source, of_windows, on_ray, poolings) if len(part[VIDEO_INDEX])]
        if not parts:
            source.kept.read_damaged_again()
            num_videos = len(source.video_indices)
            raise ValueError(f"none of the {num_videos} videos of {source.dataset.uri} can be read: all are damaged")
        found = np.concatenate([part[VIDEO_INDEX] for part in parts])
        order = np.argsort(found)
        damaged = unread_videos(source.dataset, source.video_indices, found, source.kept.damage)
        for pooling in poolings:
            names = {name: column(name, pooling) for name in encoders}
            result[FeatureKind(windows=windows, pooling=pooling)] = KindOfFeatures(
                video_indices=found[order],
                of_encoder={name: np.concatenate([part[of] for part in parts])[order] for name, of in names.items()},
                damaged=damaged,
            )
    return result


def say_what_is_kept(source: FeatureSource, work: Sequence[PassLeft]) -> None:
    num_kept, num_parts = (sum(map(len, of)) for of in ([w.kept for w in work], [w.planned.members for w in work]))
    if num_kept:
        say(
            f"going on where this evaluation was interrupted: {num_kept} of {num_parts} parts of its features are in "
            f"{redact(source.kept.uri)}"
        )


def all_parts(
    source: FeatureSource, work: Sequence[PassLeft], encoders: ray.ObjectRef, poolings: Sequence[Pooling]
) -> Iterator[Batch]:
    """Those that are there first; each of the others is kept as soon as it is finished."""
    num_left = sum(len(members) for each in work for members in each.members)
    with waiting_bar("embedding", "video", total=len(source.video_indices), num_left=num_left) as bar:
        for each in work:
            yield from each.kept.values()
            if not each.parts:
                continue
            batches = batches_of(source, each, encoders, poolings)
            for part, rows in in_parts(batches, each.parts, each.members):
                source.kept.write(each.planned.name, part, rows)
                yield rows
                bar.update(len(each.planned.members[part]))


def batches_of(
    source: FeatureSource, left: PassLeft, encoders: ray.ObjectRef, poolings: Sequence[Pooling]
) -> Iterator[Batch]:
    """Of the parts that are to be computed, in their order."""
    sampler = left.planned.sampler
    recipe = SampleRecipe(
        sampler=sampler,
        views=(CentreView(crop_size=source.encoder_input.crop_size),),
        seed=0,
        reader=frame_reader(source.dataset.description, source.decoder),
    )
    plan = PartsLeft(
        dataset_uri=source.dataset.uri,
        locations=VideoLocations.from_dataset(source.dataset),
        members=left.members,
        num_rows_per_block=num_videos_per_block(recipe),
    )
    clips = clip_dataset(plan, recipe, source.kept.damage, cpus_per_decode_task=source.cpus_per_decode_task)
    is_filled = isinstance(sampler, HalfOverlappingSampler)
    return feature_batches(
        clips,
        resources=source.resources,
        encoders=encoders,
        poolings=poolings,
        normalisation=source.encoder_input.normalisation,
        num_clips_of_video=windows_of_videos(source) if is_filled else None,
    )
