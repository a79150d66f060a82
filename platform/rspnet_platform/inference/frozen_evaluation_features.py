"""Features of a data set for several protocols and encoders at once: what two protocols see alike is decoded once.

Each video goes through the encoders alone, so that its features depend on nothing but itself.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
import ray.data
import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.features import embed_clips
from rspnet_core.evaluation.retrieval_protocol import Pooling, Windowing
from rspnet_core.normalisation import NormalisationName
from rspnet_core.sampling.clip_plan import ClipSampler
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.half_overlapping import HalfOverlappingSampler, num_windows
from rspnet_core.sampling.views import CentreView
from rspnet_platform.cpu_threads import use_all_cores_of
from rspnet_platform.inference.embedding_actor import MAX_CLIPS_AT_ONCE, EmbeddingResources, num_videos_per_block
from rspnet_platform.inference.embedding_progress import progress_bar
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.unread_videos import unread_videos
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.stream.whole_dataset import WholeDataset


@dataclass(frozen=True, kw_only=True, order=True)
class Windows:
    """Which clips stand for a video; `num_clips` is 0 where the video's length decides."""

    windowing: Windowing
    num_clips: int


@dataclass(frozen=True, kw_only=True)
class FeatureKind:
    """What a protocol computes its numbers from."""

    windows: Windows
    pooling: Pooling


@dataclass(frozen=True, kw_only=True)
class KindOfFeatures:
    """`video_indices` ascending; `of_encoder` by name, float32 [num_videos, numbers]. `damaged` are the videos that are
    missing, as `unread_videos` lists them."""

    video_indices: np.ndarray
    of_encoder: Mapping[str, np.ndarray]
    damaged: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """The videos, how the encoders are shown them, and with what; `damage` lists the videos that cannot be read."""

    dataset: ShardedDataset
    video_indices: np.ndarray
    encoder_input: EncoderInput
    damage: DamageLedger
    resources: EmbeddingResources
    cpus_per_decode_task: float
    decoder: Decoder | None


def compute_features(
    source: FeatureSource, encoders: Mapping[str, VideoEncoder], kinds: Sequence[FeatureKind]
) -> dict[FeatureKind, KindOfFeatures]:
    """Needs a connected Ray. Raises ValueError where no video is left that is not damaged."""
    on_ray = ray.put(dict(encoders))
    result: dict[FeatureKind, KindOfFeatures] = {}
    for windows in sorted({kind.windows for kind in kinds}):
        poolings: tuple[Pooling, ...] = tuple(dict.fromkeys(kind.pooling for kind in kinds if kind.windows == windows))
        batches = []
        with progress_bar(len(source.video_indices), len(source.video_indices)) as bar:
            for batch in (of for part in passes(source, windows) for of in _batches(source, part, on_ray, poolings)):
                batches.append(batch)
                bar.update(len(batch["video_index"]))
        if not batches:
            num_videos = len(source.video_indices)
            raise ValueError(f"none of the {num_videos} videos of {source.dataset.uri} can be read: all are damaged")
        found = np.concatenate([batch["video_index"] for batch in batches])
        order = np.argsort(found)
        damaged = unread_videos(source.dataset, source.video_indices, found, source.damage)
        for pooling in poolings:
            names = {name: column(name, pooling) for name in encoders}
            result[FeatureKind(windows=windows, pooling=pooling)] = KindOfFeatures(
                video_indices=found[order],
                of_encoder={name: np.concatenate([b[of] for b in batches])[order] for name, of in names.items()},
                damaged=damaged,
            )
    return result


def column(encoder: str, pooling: Pooling) -> str:
    return f"{encoder}/{pooling}"


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Videos that are read together: samples of one shape."""

    sampler: ClipSampler
    video_indices: np.ndarray


def passes(source: FeatureSource, windows: Windows) -> Iterator[Pass]:
    """One for all videos with even clips; with half-overlapping ones, one for each power of four that their number is
    filled up to: what fills is copied, neither decoded nor encoded, and a pass costs the start of its actors."""
    shape = source.encoder_input.num_frames_per_clip, source.encoder_input.frame_stride
    common: dict[str, Any] = {
        "num_frames_per_clip": shape[0],
        "frame_stride": shape[1],
        "past_the_end": source.encoder_input.past_the_end,
    }
    if windows.windowing == "even":
        sampler = EvenlySpacedSampler(num_clips=windows.num_clips, **common)
        yield Pass(sampler=sampler, video_indices=source.video_indices)
        return
    counts = windows_of_videos(source)[source.video_indices]
    filled = 4 ** np.ceil(np.log2(counts) / 2).astype(int)
    for num_clips in np.unique(filled).tolist():
        sampler = HalfOverlappingSampler(num_clips=num_clips, **common)
        yield Pass(sampler=sampler, video_indices=source.video_indices[filled == num_clips])


def windows_of_videos(source: FeatureSource) -> np.ndarray:
    """How many half-overlapping windows each video of the data set has, by video index."""
    num_frames = source.dataset.videos.sort_by("video_index")["num_frames"].to_pylist()
    shape = source.encoder_input.num_frames_per_clip, source.encoder_input.frame_stride
    return np.array([num_windows(each, *shape) for each in num_frames])


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
        use_all_cores_of(device, num_processes=resources.num_actors)
        torch.backends.cudnn.deterministic = True
        self.frozen = FrozenEncoders(
            encoders={name: encoder.to(device) for name, encoder in ray.get(encoders).items()},
            poolings=poolings,
            normalisation=normalisation,
            device=device,
        )
        self.num_clips_of_video = num_clips_of_video

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = zip(batch["video_index"].tolist(), batch["planes"], batch["view_numbers"], strict=True)
        features = [self.features(*row) for row in rows]
        return {"video_index": batch["video_index"]} | {
            name: np.stack([of_video[name] for of_video in features]) for name in features[0]
        }

    def features(self, video_index: int, planes: np.ndarray, view_numbers: np.ndarray) -> dict[str, np.ndarray]:
        num_clips = len(planes) if self.num_clips_of_video is None else self.num_clips_of_video[video_index]
        return self.frozen.features(planes[:num_clips], view_numbers[:num_clips])


def _batches(
    source: FeatureSource, part: Pass, encoders: ray.ObjectRef, poolings: Sequence[Pooling]
) -> Iterator[dict[str, np.ndarray]]:
    recipe = SampleRecipe(
        sampler=part.sampler,
        views=(CentreView(crop_size=source.encoder_input.crop_size),),
        seed=0,
        reader=frame_reader(source.dataset.description, source.decoder),
    )
    plan = WholeDataset(
        dataset_uri=source.dataset.uri,
        locations=VideoLocations.from_dataset(source.dataset),
        video_indices=part.video_indices,
        num_rows_per_block=num_videos_per_block(recipe),
    )
    is_filled = isinstance(part.sampler, HalfOverlappingSampler)
    clips = clip_dataset(plan, recipe, source.damage, cpus_per_decode_task=source.cpus_per_decode_task)
    with warnings.catch_warnings():
        # The only way to say max_restarts, without which Ray complains of what actors are made from.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        features = clips.map_batches(
            FrozenFeatureActor,
            fn_constructor_kwargs={
                "encoders": encoders,
                "poolings": poolings,
                "normalisation": source.encoder_input.normalisation,
                "resources": source.resources,
                "num_clips_of_video": windows_of_videos(source) if is_filled else None,
            },
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=source.resources.num_actors),
            num_cpus=source.resources.cpus_per_actor,
            num_gpus=1 if source.resources.use_gpu else None,
            max_restarts=0,  # the same command simply runs again
        )
    batches: Iterator[Any] = iter(features.iter_batches(batch_size=None, batch_format="numpy"))
    yield from batches
