"""Features of a whole data set from frozen encoders: decoded once, on Ray, for all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import ray

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform.inference.embedding_actor import (
    EmbeddingActor,
    EmbeddingResources,
    can_embed_here,
    embedding_batches,
    in_this_process,
    num_videos_per_block,
)
from rspnet_platform.inference.embedding_clips import embedding_recipe
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.stream.whole_dataset import WholeDataset
from rspnet_platform.waiting_bar import counting


@dataclass(frozen=True, kw_only=True)
class DatasetFeatures:
    """`video_indices` ascending; `features` of each encoder are float32 [num_videos, feature_dim]. A damaged video has
    none, and is in the ledger."""

    video_indices: np.ndarray
    features: dict[str, np.ndarray]


def embed_dataset(
    dataset: ShardedDataset,
    video_indices: np.ndarray,
    encoders: Mapping[str, VideoEncoder],
    encoder_input: EncoderInput,
    *,
    damage: DamageLedger,
    cpus_per_decode_task: float,
    use_gpu: bool,
    decoder: Decoder | None = None,
) -> DatasetFeatures:
    """Features of the given videos from each encoder, under one input. Needs a connected Ray. `decoder` is for the
    profile `original`; see DataConfig."""
    recipe = embedding_recipe(encoder_input, dataset.description, decoder=decoder)
    plan = WholeDataset(
        dataset_uri=dataset.uri,
        locations=VideoLocations.from_dataset(dataset),
        video_indices=video_indices,
        num_rows_per_block=num_videos_per_block(recipe),
    )
    clips = clip_dataset(plan, recipe, damage, cpus_per_decode_task=cpus_per_decode_task)
    resources = EmbeddingResources(use_gpu=use_gpu)
    if can_embed_here(use_gpu=use_gpu):
        new_actor = partial(EmbeddingActor, ray.put(dict(encoders)), encoder_input, resources)
        batches = in_this_process(clips, new_actor)
    else:
        # One actor alone: a run's evaluation shares its cluster with whatever else is on it.
        batches = embedding_batches(clips, encoders, encoder_input, resources)
    batches = list(counting(batches, "embedding", num_videos=len(video_indices)))
    if not batches:
        raise ValueError(f"none of the {len(video_indices)} videos can be embedded: all are damaged ({damage.uri})")
    found = np.concatenate([batch["video_index"] for batch in batches])
    order = np.argsort(found)
    return DatasetFeatures(
        video_indices=found[order],
        features={name: np.concatenate([batch[name] for batch in batches])[order] for name in encoders},
    )
