"""What classifiers make of a data set's videos: decoded once, on Ray, for several of them."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data
import torch

from rspnet_core.normalisation import NormalisationName
from rspnet_core.recognition.clip_samplers import EvaluationClipSampler
from rspnet_core.recognition.recognition import Recognition
from rspnet_core.recognition.recognition_config import RecognitionConfig
from rspnet_core.recognition.square_crops import NumCrops, square_crops
from rspnet_platform.cpu_threads import use_all_cores_of
from rspnet_platform.finetune.clip_scores import score_clips
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe, sample_num_bytes
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.frame_readers import FrameReader
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.stream.whole_dataset import WholeDataset
from rspnet_platform.waiting_bar import counting

MAX_VIDEOS_PER_BATCH = 8
MAX_BYTES_PER_BATCH = 64 * 1024**2
"""Of uint8 planes: ten clips of 64 x 224 x 224 pixels are 48 MB."""


@dataclass(frozen=True, kw_only=True)
class VideoProbabilities:
    """`video_indices` ascending; `probabilities` of each network are float32 [num_videos, num_classes]. A damaged video
    has none, and is in the ledger."""

    video_indices: np.ndarray
    probabilities: dict[str, np.ndarray]


class ScoringActor:
    """Holds the networks, on its GPU or on the CPU, in evaluation mode."""

    def __init__(self, networks: ray.ObjectRef, normalisation: NormalisationName, use_gpu: bool) -> None:
        self.device = torch.device("cuda" if use_gpu else "cpu")
        use_all_cores_of(self.device, num_processes=1)
        self.networks = {name: network.eval().to(self.device) for name, network in ray.get(networks).items()}
        self.normalisation: NormalisationName = normalisation

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        planes, numbers = (torch.from_numpy(batch[name].copy()) for name in ("planes", "view_numbers"))
        scores = score_clips(self.networks, planes, numbers, self.normalisation, self.device)
        return {"video_index": batch["video_index"], **{name: of.numpy() for name, of in scores.items()}}


def score_videos(
    dataset: ShardedDataset,
    video_indices: np.ndarray,
    networks: Mapping[str, Recognition],
    task: RecognitionConfig,
    *,
    num_clips_per_crop: int,
    num_crops: NumCrops,
    reader: FrameReader,
    damage: DamageLedger,
    cpus_per_decode_task: float,
    use_gpu: bool,
) -> VideoProbabilities:
    """Of the given videos by each network, under one protocol. Needs a connected Ray."""
    recipe = SampleRecipe(
        sampler=EvaluationClipSampler(training=task.clips, num_clips_per_crop=num_clips_per_crop, num_crops=num_crops),
        views=square_crops(num_crops, task.view.crop_size),
        seed=0,
        reader=reader,
    )
    batch_size = max(1, min(MAX_VIDEOS_PER_BATCH, MAX_BYTES_PER_BATCH // sample_num_bytes(recipe)))
    plan = WholeDataset(
        dataset_uri=dataset.uri,
        locations=VideoLocations.from_dataset(dataset),
        video_indices=video_indices,
        num_rows_per_block=batch_size,
    )
    clips = clip_dataset(plan, recipe, damage, cpus_per_decode_task=cpus_per_decode_task)
    with warnings.catch_warnings():
        # The only way to say max_restarts, without which Ray complains of what actors are made from.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        scored = clips.map_batches(
            ScoringActor,
            fn_constructor_kwargs={
                "networks": ray.put(dict(networks)),
                "normalisation": task.normalisation,
                "use_gpu": use_gpu,
            },
            batch_size=batch_size,
            compute=ray.data.ActorPoolStrategy(size=1),
            num_cpus=1,
            num_gpus=1 if use_gpu else None,
            max_restarts=0,  # the run's stage is kept: the same command scores again
        )
    return collect(scored, list(networks), num_videos=len(video_indices))


def collect(scored: ray.data.Dataset, names: list[str], *, num_videos: int) -> VideoProbabilities:
    iterator: Any = scored.iter_batches(batch_size=None, batch_format="numpy")
    batches: list[Any] = list(counting(iterator, "scoring", num_videos=num_videos))
    if not batches:
        raise ValueError("none of the videos can be scored: all are damaged")
    video_indices = np.concatenate([batch["video_index"] for batch in batches])
    order = np.argsort(video_indices)
    return VideoProbabilities(
        video_indices=video_indices[order],
        probabilities={name: np.concatenate([batch[name] for batch in batches])[order] for name in names},
    )
