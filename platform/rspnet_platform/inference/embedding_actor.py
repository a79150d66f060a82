"""Frozen encoders at work on a Ray data set of clips: a pool of actors, each with a copy of them."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import ray
import ray.data
import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.encoders.for_inference import for_inference
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.features import embed_videos
from rspnet_core.evaluation.retrieval_protocol import Pooling
from rspnet_core.normalisation import NormalisationName
from rspnet_platform.cpu_threads import SharedCores, num_cores_for_one_of
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.local_cluster import is_local_cluster
from rspnet_platform.stream.clip_decoding import SampleRecipe, sample_num_bytes
from rspnet_platform.stream.cpu_budget import Budget, Claim, fitting_cpus_per_worker

MAX_VIDEOS_PER_BLOCK = 8
MAX_BYTES_PER_BLOCK = 64 * 1024**2
"""Of uint8 planes: thirty clips of 16 x 224 x 224 are 36 MB."""

MAX_CLIPS_AT_ONCE = 32
"""In the encoders, and as float colors: eight times the planes' bytes."""


@dataclass(frozen=True, kw_only=True)
class EmbeddingResources:
    num_actors: int = 1
    cpus_per_actor: float = 1.0
    use_gpu: bool = False


def plan_embedding(
    *,
    cluster_cpus: float,
    cluster_gpus: float,
    cpus_per_decode_task: float,
    use_gpu: bool | None = None,
    num_actors: int | None = None,
    num_videos: int | None = None,
) -> tuple[EmbeddingResources, Budget]:
    """One actor a GPU, or one a CPU that decoding leaves. Raises BudgetError, with a table, for what does not fit."""
    use_gpu = cluster_gpus > 0 if use_gpu is None else use_gpu
    num_fitting = int(cluster_gpus if use_gpu else cluster_cpus - cpus_per_decode_task)
    num_useful = num_fitting if num_videos is None else -(-num_videos // MAX_VIDEOS_PER_BLOCK)
    num_actors = num_actors or max(1, min(num_fitting, num_useful))
    if use_gpu:
        cpus_per_actor = 0.5  # it mostly waits for its GPU: the CPUs are for decoding
    else:
        cpus_per_actor = fitting_cpus_per_worker(
            num_workers=num_actors, cpus_per_decode_task=cpus_per_decode_task, cluster_cpus=cluster_cpus
        )
    resources = EmbeddingResources(num_actors=num_actors, cpus_per_actor=cpus_per_actor, use_gpu=use_gpu)
    budget = Budget(
        claims=(
            Claim(who="encoders", count=num_actors, cpus=cpus_per_actor, gpus=float(use_gpu)),
            Claim(who="decode tasks, at least", count=1, cpus=cpus_per_decode_task),
        ),
        cluster_cpus=cluster_cpus,
        cluster_gpus=cluster_gpus,
        accepted="fewer encoders (--num-actors), less for decoding (--cpus-per-decode-task), or a larger cluster",
    )
    budget.check()
    return resources, budget


def max_videos_at_once(num_clips: int) -> int:
    """Side by side in the encoders, each with so many clips."""
    return max(1, MAX_CLIPS_AT_ONCE // num_clips)


def placed(encoders: Mapping[str, VideoEncoder], device: torch.device) -> dict[str, VideoEncoder]:
    """On the device, in the form that is fastest there."""
    if device.type == "cpu":
        return {name: for_inference(encoder) for name, encoder in encoders.items()}
    return {name: encoder.to(device) for name, encoder in encoders.items()}


@dataclass(frozen=True, kw_only=True)
class FrozenEncoders:
    """Encoders on one device, under one input."""

    encoders: Mapping[str, VideoEncoder]
    pooling: Pooling
    normalisation: NormalisationName
    device: torch.device

    def embed(self, planes: torch.Tensor, view_numbers: torch.Tensor) -> dict[str, np.ndarray]:
        """Of one video: `planes` and `view_numbers` are as in `Sample`; float32 [feature_dim] of each encoder, the mean
        over the clips."""
        features: dict[str, list[torch.Tensor]] = {name: [] for name in self.encoders}
        parts = zip(planes.split(MAX_CLIPS_AT_ONCE), view_numbers.split(MAX_CLIPS_AT_ONCE), strict=True)
        with torch.inference_mode():
            for some_planes, some_numbers in parts:
                on_device = some_planes[:, None].to(self.device), some_numbers[:, None].to(self.device)
                clips = to_clips(*on_device, self.normalisation)
                for name, encoder in self.encoders.items():
                    features[name].append(embed_videos(encoder, clips, self.pooling).float().cpu())
            return {name: torch.cat(of)[None].mean(dim=1)[0].numpy() for name, of in features.items()}


class EmbeddingActor:
    """Holds the encoders, on its GPU or on the CPU. Each video goes through them alone, so that its embedding depends
    neither on what else is in its block nor on how the work was shared out."""

    def __init__(self, encoders: ray.ObjectRef, encoder_input: EncoderInput, resources: EmbeddingResources) -> None:
        device = torch.device("cuda" if resources.use_gpu else "cpu")
        self.device, self.num_cores = device, num_cores_for_one_of(resources.num_actors)
        torch.backends.cudnn.deterministic = True
        self.frozen = FrozenEncoders(
            encoders=placed(ray.get(encoders), device),
            pooling=encoder_input.pooling,
            normalisation=encoder_input.normalisation,
            device=device,
        )

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        planes = torch.from_numpy(batch["planes"].copy())
        view_numbers = torch.from_numpy(batch["view_numbers"].copy())
        cores = SharedCores(
            device=self.device, num_cores=self.num_cores, max_at_once=max_videos_at_once(planes.shape[1])
        )
        videos = list(zip(planes, view_numbers, strict=True))
        embeddings = cores.map(lambda video: self.frozen.embed(*video), videos)
        columns = {name: np.stack([embedding[name] for embedding in embeddings]) for name in embeddings[0]}
        return {"video_index": batch["video_index"], **columns}


def num_videos_per_block(recipe: SampleRecipe) -> int:
    """Videos that travel together to an actor."""
    return max(1, min(MAX_VIDEOS_PER_BLOCK, MAX_BYTES_PER_BLOCK // sample_num_bytes(recipe)))


def embedding_batches(
    clips: ray.data.Dataset,
    encoders: Mapping[str, VideoEncoder],
    encoder_input: EncoderInput,
    resources: EmbeddingResources,
) -> Iterator[dict[str, np.ndarray]]:
    """`video_index` and a column for each encoder, float32 [num_videos, feature_dim], in the order of `clips`."""
    with warnings.catch_warnings():
        # The only way to say max_restarts, without which Ray complains of what actors are made from.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        embedded = clips.map_batches(
            EmbeddingActor,
            fn_constructor_kwargs={
                "encoders": ray.put(dict(encoders)),
                "encoder_input": encoder_input,
                "resources": resources,
            },
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=resources.num_actors),
            num_cpus=resources.cpus_per_actor,
            num_gpus=1 if resources.use_gpu else None,
            max_restarts=0,  # what is finished is kept: the same command goes on
        )
    batches: Iterator[Any] = iter(embedded.iter_batches(batch_size=None, batch_format="numpy"))
    yield from batches


def can_embed_here(*, use_gpu: bool) -> bool:
    """On a small machine's own Ray: the cores are this process's own, and an actor would take seconds to start."""
    return is_local_cluster() and not use_gpu and num_cores_for_one_of(1) <= MAX_VIDEOS_PER_BLOCK


def in_this_process(
    clips: ray.data.Dataset, new_actor: Callable[[], Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]]
) -> Iterator[dict[str, np.ndarray]]:
    """What an actor would make of the clips' batches, made here, on all cores."""
    batches = clips.iter_batches(batch_size=None, batch_format="numpy")
    return map(new_actor(), cast(Iterator[dict[str, np.ndarray]], batches))
