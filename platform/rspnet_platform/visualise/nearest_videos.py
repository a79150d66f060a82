"""Who a query finds: its nearest gallery videos, by the search and the setting that retrieval is scored with."""

from dataclasses import dataclass

import numpy as np
import torch

from rspnet_core.evaluation.cosine_search import nearest, num_others_at_least
from rspnet_core.evaluation.retrieval import directions
from rspnet_core.evaluation.retrieval_protocol import RetrievalProtocol
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A gallery video; `is_hit`: it has the query's label, None where there are no labels."""

    video_index: int
    cosine: float
    is_hit: bool | None


@dataclass(frozen=True, kw_only=True)
class Search:
    """All queries and the gallery that they are looked for in, by index; `gallery` equals `queries` where each video is
    looked for among all others: `sources` has a number for each then, and none finds another of its own source. Damaged
    videos are in neither. Labels are None where there are none."""

    queries: np.ndarray
    gallery: np.ndarray
    query_labels: np.ndarray | None = None
    gallery_labels: np.ndarray | None = None
    sources: np.ndarray | None = None

    @property
    def num_others(self) -> int:
        """Videos that each query has at least to find some among."""
        return len(self.gallery) if self.sources is None else num_others_at_least(torch.from_numpy(self.sources))

    @classmethod
    def without_labels(cls, features: DatasetFeatures) -> "Search":
        """Each video among all others."""
        indices = features.video_indices
        return cls(queries=indices, gallery=indices, sources=np.arange(len(indices)))

    @classmethod
    def of(cls, labelled: LabelledVideos, features: DatasetFeatures) -> "Search":
        """The test videos among the train videos, or each among all others of other sources."""
        found = labelled.found_in(features.video_indices)
        indices, labels, is_query = found.video_indices, found.labels, found.is_query
        if is_query is None:
            return cls(
                queries=indices,
                gallery=indices,
                query_labels=labels,
                gallery_labels=labels,
                sources=found.source_numbers,
            )
        return cls(
            queries=indices[is_query],
            gallery=indices[~is_query],
            query_labels=labels[is_query],
            gallery_labels=labels[~is_query],
        )


def check_num_nearest(num_nearest: int, num_others: int) -> None:
    if num_nearest > num_others:
        raise ValueError(f"num_nearest is {num_nearest}; accepted are 1 to the {num_others} videos of the gallery")


def find_neighbours(
    search: Search, features: DatasetFeatures, name: str, protocol: RetrievalProtocol, num_nearest: int
) -> dict[int, list[Neighbour]]:
    """Of every query, by its index, nearest first, in the features of the encoder `name`.

    Raises ValueError for a gallery of fewer videos than are asked for.
    """
    check_num_nearest(num_nearest, search.num_others)
    vectors = torch.from_numpy(features.features[name])
    place = {index: position for position, index in enumerate(features.video_indices.tolist())}
    gallery, query = (vectors[[place[i] for i in part.tolist()]] for part in (search.gallery, search.queries))
    unit_gallery, unit_query = directions(gallery, query, protocol.centring)
    sources = None if search.sources is None else torch.from_numpy(search.sources)
    cosines, found = nearest(unit_query, unit_gallery, num_nearest, sources=sources)
    return {
        query_index: [
            Neighbour(
                video_index=int(search.gallery[column]),
                cosine=cosine,
                is_hit=_is_hit(search, row, column),
            )
            for cosine, column in zip(cosines[row].tolist(), found[row].tolist(), strict=True)
        ]
        for row, query_index in enumerate(search.queries.tolist())
    }


def _is_hit(search: Search, row: int, column: int) -> bool | None:
    if search.query_labels is None or search.gallery_labels is None:
        return None
    return bool(search.gallery_labels[column] == search.query_labels[row])
