"""Retrieval on a data set: the trained encoder beside randomly initialised ones, decoded once for all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.evaluation.retrieval import RetrievalResult, leave_one_source_out, retrieve
from rspnet_core.evaluation.retrieval_protocol import RetrievalProtocol
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.seed_spread import sample_deviation
from rspnet_platform.shards.dataset import ShardedDataset

GALLERY_SPLIT, QUERY_SPLIT = "train", "test"


@dataclass(frozen=True, kw_only=True)
class LabelledVideos:
    """What evaluation needs of a data set. `is_query` is None where there is no split: then each video is a query
    against all those of other sources. `sources` tells which videos were cut from one, where that is known."""

    video_indices: np.ndarray
    labels: np.ndarray
    is_query: np.ndarray | None
    sources: np.ndarray
    class_names: tuple[str, ...]
    gallery_split: str = GALLERY_SPLIT
    query_split: str = QUERY_SPLIT

    @classmethod
    def from_dataset(
        cls, dataset: ShardedDataset, *, gallery_split: str = GALLERY_SPLIT, query_split: str = QUERY_SPLIT
    ) -> "LabelledVideos | None":
        """The labelled videos of the two splits, or of a data set without them all that are labelled. None where too
        few carry a label to ask."""
        videos = dataset.videos.sort_by("video_index")
        names = np.array(videos["label"].to_pylist(), dtype=object)
        splits = np.array(videos["split"].to_pylist(), dtype=object)
        is_split = {gallery_split, query_split} <= set(splits.tolist())
        chosen = np.array([name is not None for name in names.tolist()])
        if is_split:
            chosen &= np.isin(splits, [gallery_split, query_split])
        if chosen.sum() < 2:
            return None
        class_names, labels = np.unique(names[chosen].astype(str), return_inverse=True)
        is_query = splits[chosen] == query_split if is_split else None
        if is_query is not None and (is_query.all() or not is_query.any()):
            return None
        labelled = cls(
            video_indices=videos["video_index"].to_numpy()[chosen],
            labels=labels,
            is_query=is_query,
            sources=np.array(videos["source"].to_pylist(), dtype=object)[chosen],
            class_names=tuple(class_names.tolist()),
            gallery_split=gallery_split,
            query_split=query_split,
        )
        is_of_one_source = len(np.unique(labelled.source_numbers)) < 2
        return None if labelled.is_query is None and is_of_one_source else labelled

    @property
    def source_numbers(self) -> np.ndarray:
        """Equal for videos that were cut from one; a video whose source is not known is one of its own."""
        names = [
            ("video", str(index)) if source is None else ("source", str(source))
            for index, source in zip(self.video_indices.tolist(), self.sources.tolist(), strict=True)
        ]
        return np.unique(names, axis=0, return_inverse=True)[1].reshape(-1)

    def found_in(self, video_indices: np.ndarray) -> "LabelledVideos":
        """Those that are there: damaged videos, which have no features, are in neither gallery nor queries."""
        has_features = np.isin(self.video_indices, video_indices)
        return replace(
            self,
            video_indices=self.video_indices[has_features],
            labels=self.labels[has_features],
            is_query=None if self.is_query is None else self.is_query[has_features],
            sources=self.sources[has_features],
        )

    @property
    def setting(self) -> str:
        """Who is looked for among whom, for the protocol that stands beside each number."""
        setting = f"gallery {self.gallery_split}, queries {self.query_split}"
        if self.is_query is None:
            setting = "each video against all others of other sources (no train and test splits)"
        if num_missed := self.num_without_class:
            setting += f", of which {num_missed} have a class that none of these has and count as misses"
        return setting

    @property
    def num_without_class(self) -> int:
        """Queries whose class none of the videos has that they are looked for among: nothing can find them."""
        if self.is_query is None:
            of_class = np.unique(np.stack([self.labels, self.source_numbers]), axis=1)[0]
            return int((np.bincount(of_class)[self.labels] == 1).sum())
        return int((~np.isin(self.labels[self.is_query], self.labels[~self.is_query])).sum())


def evaluate_retrieval(
    labelled: LabelledVideos, features: DatasetFeatures, protocol: RetrievalProtocol
) -> dict[str, RetrievalResult]:
    """One result an encoder. Damaged videos, which have no features, are left out of gallery and queries."""
    found = labelled.found_in(features.video_indices)
    return {
        name: retrieval_result(torch.from_numpy(vectors), found, protocol)
        for name, vectors in features.features.items()
    }


def retrieval_result(vectors: torch.Tensor, labelled: LabelledVideos, protocol: RetrievalProtocol) -> RetrievalResult:
    """`vectors` are the features of `labelled`, in its order."""
    labels = torch.from_numpy(labelled.labels)
    if labelled.is_query is None:
        return leave_one_source_out(vectors, labels, torch.from_numpy(labelled.source_numbers), protocol)
    is_query = torch.from_numpy(labelled.is_query)
    return retrieve(vectors[~is_query], labels[~is_query], vectors[is_query], labels[is_query], protocol)


TRAINED, RANDOM_PREFIX = "trained", "random_"


def encoders_beside_random(
    trained: VideoEncoder, encoder_name: str, num_random_encoders: int
) -> Mapping[str, VideoEncoder]:
    """The trained encoder, and freshly initialised ones with the seeds 0, 1, ..."""
    from rspnet_platform.inference.encoder_files import build_seeded

    random = {f"{RANDOM_PREFIX}{seed}": build_seeded(encoder_name, seed) for seed in range(num_random_encoders)}
    return {TRAINED: trained, **random}


def retrieval_metrics(results: Mapping[str, RetrievalResult]) -> dict[str, float]:
    """`validation/retrieval_top1`, ..., and of the same over the random encoders the mean and, with two or more, the
    sample's standard deviation (n - 1)."""
    random = [result for name, result in results.items() if name.startswith(RANDOM_PREFIX)]
    metrics = {f"validation/retrieval_top{k}": share for k, share in results[TRAINED].accuracy.items()}
    for k in results[TRAINED].accuracy:
        shares = [result.accuracy[k] for result in random]
        metrics[f"validation/random_retrieval_top{k}_mean"] = float(np.mean(shares))
        if (deviation := sample_deviation(shares)) is not None:
            metrics[f"validation/random_retrieval_top{k}_std"] = deviation
    return metrics
