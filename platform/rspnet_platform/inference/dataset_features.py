"""Features of a whole data set from frozen encoders: decoded once, on Ray, for all of them."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data
import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.features import embed_videos
from rspnet_core.evaluation.retrieval_protocol import Pooling
from rspnet_core.normalisation import NormalisationName
from rspnet_core.sampling.views import CentreView
from rspnet_platform.cpu_threads import use_all_cores_of
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.stream.whole_dataset import WholeDataset

NUM_VIDEOS_PER_BATCH = 8


@dataclass(frozen=True, kw_only=True)
class DatasetFeatures:
    """`video_indices` ascending; `features` of each encoder are float32 [num_videos, feature_dim]. A damaged video has
    none, and is in the ledger."""

    video_indices: np.ndarray
    features: dict[str, np.ndarray]


class EmbeddingActor:
    """Holds the encoders, on its GPU or on the CPU."""

    def __init__(self, encoders: ray.ObjectRef, encoder_input: EncoderInput, use_gpu: bool) -> None:
        self.device = torch.device("cuda" if use_gpu else "cpu")
        use_all_cores_of(self.device, num_processes=1)
        self.encoders = {name: encoder.to(self.device) for name, encoder in ray.get(encoders).items()}
        self.pooling: Pooling = encoder_input.pooling
        self.normalisation: NormalisationName = encoder_input.normalisation

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        planes = torch.from_numpy(batch["planes"].copy()).to(self.device)
        view_numbers = torch.from_numpy(batch["view_numbers"].copy()).to(self.device)
        with torch.inference_mode():
            clips = to_clips(planes, view_numbers, self.normalisation)
            features = {
                name: embed_videos(encoder, clips, self.pooling).float().cpu().numpy()
                for name, encoder in self.encoders.items()
            }
        return {"video_index": batch["video_index"], **features}


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
    recipe = SampleRecipe(
        sampler=encoder_input.sampler,
        views=(CentreView(crop_size=encoder_input.crop_size),),
        seed=0,
        reader=frame_reader(dataset.description, decoder),
    )
    plan = WholeDataset(
        dataset_uri=dataset.uri,
        locations=VideoLocations.from_dataset(dataset),
        video_indices=video_indices,
        num_rows_per_block=NUM_VIDEOS_PER_BATCH,
    )
    clips = clip_dataset(plan, recipe, damage, cpus_per_decode_task=cpus_per_decode_task)
    with warnings.catch_warnings():
        # The only way to say max_restarts, without which Ray complains of what actors are made from.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        features = clips.map_batches(
            EmbeddingActor,
            fn_constructor_kwargs={
                "encoders": ray.put(dict(encoders)),
                "encoder_input": encoder_input,
                "use_gpu": use_gpu,
            },
            batch_size=NUM_VIDEOS_PER_BATCH,
            compute=ray.data.ActorPoolStrategy(size=1),
            num_cpus=1,
            num_gpus=1 if use_gpu else None,
            max_restarts=0,  # the run's stage is kept: the same command evaluates again
        )
    return _collect(features, list(encoders))


def _collect(features: ray.data.Dataset, names: list[str]) -> DatasetFeatures:
    batches: list[Any] = list(features.iter_batches(batch_size=None, batch_format="numpy"))
    video_indices = np.concatenate([batch["video_index"] for batch in batches])
    order = np.argsort(video_indices)
    return DatasetFeatures(
        video_indices=video_indices[order],
        features={name: np.concatenate([batch[name] for batch in batches])[order] for name in names},
    )
