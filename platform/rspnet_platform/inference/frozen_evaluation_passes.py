"""Which videos are read together for which protocols: what two of them see alike is decoded once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rspnet_core.evaluation.retrieval_protocol import Pooling, Windowing
from rspnet_core.sampling.clip_plan import ClipSampler
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.half_overlapping import HalfOverlappingSampler, num_windows
from rspnet_platform.inference.embedding_actor import EmbeddingResources
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.kept_features import KeptFeatures
from rspnet_platform.inference.video_parts import parts_of
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.data_config import Decoder


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
class FeatureSource:
    """The videos, how the encoders are shown them, and with what; `kept` holds what is finished, and the list of the
    videos that cannot be read."""

    dataset: ShardedDataset
    video_indices: np.ndarray
    encoder_input: EncoderInput
    kept: KeptFeatures
    resources: EmbeddingResources
    cpus_per_decode_task: float
    decoder: Decoder | None


@dataclass(frozen=True, kw_only=True)
class Pass:
    """Videos that are read together: samples of one shape. `members` are the video indices of each of its parts, and
    `name` tells it from the other passes of an evaluation."""

    name: str
    sampler: ClipSampler
    members: tuple[np.ndarray, ...]


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
        yield _pass(source, windows, EvenlySpacedSampler(num_clips=windows.num_clips, **common), source.video_indices)
        return
    counts = windows_of_videos(source)[source.video_indices]
    filled = 4 ** np.ceil(np.log2(counts) / 2).astype(int)
    for num_clips in np.unique(filled).tolist():
        sampler = HalfOverlappingSampler(num_clips=num_clips, **common)
        yield _pass(source, windows, sampler, source.video_indices[filled == num_clips])


def _pass(source: FeatureSource, windows: Windows, sampler: ClipSampler, video_indices: np.ndarray) -> Pass:
    return Pass(
        name=f"{windows.windowing}-{sampler.num_clips}",
        sampler=sampler,
        members=parts_of(source.dataset, video_indices, source.kept.num_videos_per_part),
    )


def windows_of_videos(source: FeatureSource) -> np.ndarray:
    """How many half-overlapping windows each video of the data set has, by video index."""
    num_frames = source.dataset.videos.sort_by("video_index")["num_frames"].to_pylist()
    shape = source.encoder_input.num_frames_per_clip, source.encoder_input.frame_stride
    return np.array([num_windows(each, *shape) for each in num_frames])
