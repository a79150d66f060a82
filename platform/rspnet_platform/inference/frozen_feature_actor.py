"""Several frozen encoders at work on the same clips. Each video goes through them alone, so that its features depend on
nothing but itself."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import ray
import ray.data
import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.features import embed_clips
from rspnet_core.evaluation.retrieval_protocol import Pooling
from rspnet_core.normalisation import NormalisationName
from rspnet_platform.cpu_threads import SharedCores, num_cores_for_one_of
from rspnet_platform.inference.embedding_actor import (
    MAX_CLIPS_AT_ONCE,
    EmbeddingResources,
    can_embed_here,
    in_this_process,
    max_videos_at_once,
    placed,
)


def column(encoder: str, pooling: Pooling) -> str:
    return f"{encoder}/{pooling}"


@dataclass(frozen=True, kw_only=True)
class FrozenEncoders:
    """Encoders on `device`, and the poolings that each clip's map is given by each of them."""

    encoders: Mapping[str, VideoEncoder]
    poolings: Sequence[Pooling]
    normalisation: NormalisationName
    device: torch.device

    def features(self, planes: np.ndarray, view_numbers: np.ndarray) -> dict[str, np.ndarray]:
        """The mean over one video's clips by `column`, float32; `planes` and `view_numbers` are as in `Sample`."""
        sums: dict[str, torch.Tensor] = {}
        for first in range(0, len(planes), MAX_CLIPS_AT_ONCE):
            part = slice(first, first + MAX_CLIPS_AT_ONCE)
            some_planes, some_numbers = (torch.from_numpy(of[part].copy()) for of in (planes, view_numbers))
            with torch.inference_mode():
                on_device = some_planes[:, None].to(self.device), some_numbers[:, None].to(self.device)
                clips = to_clips(*on_device, self.normalisation)[:, 0]
                for name, encoder in self.encoders.items():
                    for pooling, pooled in embed_clips(encoder, clips, self.poolings).items():
                        key = column(name, pooling)
                        sums[key] = sums.get(key, torch.zeros(())) + pooled.sum(dim=0).cpu()
        return {key: (total / len(planes)).numpy() for key, total in sums.items()}


class FrozenFeatureActor:
    """Holds the encoders, on its GPU or on the CPU. `num_clips_of_video`: how many of a sample's clips are the video's
    own, by video index; none means all."""

    def __init__(
        self,
        encoders: ray.ObjectRef,
        poolings: Sequence[Pooling],
        normalisation: NormalisationName,
        resources: EmbeddingResources,
        num_clips_of_video: np.ndarray | None,
    ) -> None:
        device = torch.device("cuda" if resources.use_gpu else "cpu")
        self.device, self.num_cores = device, num_cores_for_one_of(resources.num_actors)
        torch.backends.cudnn.deterministic = True
        self.frozen = FrozenEncoders(
            encoders=placed(ray.get(encoders), device),
            poolings=poolings,
            normalisation=normalisation,
            device=device,
        )
        self.num_clips_of_video = num_clips_of_video

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = list(zip(batch["video_index"].tolist(), batch["planes"], batch["view_numbers"], strict=True))
        max_at_once = max_videos_at_once(batch["planes"].shape[1])
        cores = SharedCores(device=self.device, num_cores=self.num_cores, max_at_once=max_at_once)
        features = cores.map(lambda row: self.features(*row), rows)
        return {"video_index": batch["video_index"]} | {
            name: np.stack([of_video[name] for of_video in features]) for name in features[0]
        }

    def features(self, video_index: int, planes: np.ndarray, view_numbers: np.ndarray) -> dict[str, np.ndarray]:
        num_clips = len(planes) if self.num_clips_of_video is None else self.num_clips_of_video[video_index]
        return self.frozen.features(planes[:num_clips], view_numbers[:num_clips])


def feature_batches(
    clips: ray.data.Dataset, *, resources: EmbeddingResources, **of_actors: Any
) -> Iterator[dict[str, np.ndarray]]:
    """`video_index` and a `column` for each encoder and pooling, in the order of `clips`; `of_actors` are the other
    arguments of FrozenFeatureActor."""
    if can_embed_here(use_gpu=resources.use_gpu):
        here = EmbeddingResources()
        yield from in_this_process(clips, partial(FrozenFeatureActor, resources=here, **of_actors))
        return
    with warnings.catch_warnings():
        # The only way to say max_restarts, without which Ray complains of what actors are made from.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        features = clips.map_batches(
            FrozenFeatureActor,
            fn_constructor_kwargs={"resources": resources, **of_actors},
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=resources.num_actors),
            num_cpus=resources.cpus_per_actor,
            num_gpus=1 if resources.use_gpu else None,
            max_restarts=0,  # what is finished is kept: the same command goes on
        )
    batches: Iterator[Any] = iter(features.iter_batches(batch_size=None, batch_format="numpy"))
    yield from batches
