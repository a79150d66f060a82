"""Exact nearest-neighbour retrieval by cosine: does a video find others of its class?"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from rspnet_core.evaluation.retrieval_protocol import RetrievalProtocol

QUERIES_AT_ONCE = 1024
"""Bounds the table of cosines: 1024 x 240,000 gallery videos are 1 GB."""


@dataclass(frozen=True, kw_only=True)
class RetrievalResult:
    """`accuracy` maps k to the share of queries with a hit among their k nearest; `skipped_k` are the
    protocol's k that the gallery was too small for."""

    protocol: str
    accuracy: dict[int, float]
    skipped_k: tuple[int, ...]
    num_queries: int
    num_gallery: int


def retrieve(
    gallery: Float[Tensor, "num_gallery feature"],
    gallery_labels: Int64[Tensor, " num_gallery"],
    query: Float[Tensor, "num_queries feature"],
    query_labels: Int64[Tensor, " num_queries"],
    protocol: RetrievalProtocol,
) -> RetrievalResult:
    """Queries against a gallery of other videos.

    Raises ValueError for an empty gallery, no queries, or features that are not finite.
    """
    _check(gallery, query)
    mean = gallery.mean(dim=0) if protocol.centring else torch.zeros_like(gallery[0])
    nearest = _nearest_labels(
        F.normalize(query - mean, dim=1),
        F.normalize(gallery - mean, dim=1),
        gallery_labels,
        num_nearest=max((k for k in protocol.top_k if k <= len(gallery)), default=0),
        exclude_self=False,
    )
    return _score(nearest == query_labels[:, None], protocol, num_gallery=len(gallery))


def leave_one_out(
    features: Float[Tensor, "videos feature"], labels: Int64[Tensor, " videos"], protocol: RetrievalProtocol
) -> RetrievalResult:
    """Each video against all the others, for data without a split: a video never finds itself.

    With `centring` the mean is over all videos. Raises ValueError for fewer than two videos, or features that
    are not finite.
    """
    _check(features[1:], features)
    mean = features.mean(dim=0) if protocol.centring else torch.zeros_like(features[0])
    unit = F.normalize(features - mean, dim=1)
    num_others = len(features) - 1
    num_nearest = max((k for k in protocol.top_k if k <= num_others), default=0)
    nearest = _nearest_labels(unit, unit, labels, num_nearest=num_nearest, exclude_self=True)
    return _score(nearest == labels[:, None], protocol, num_gallery=num_others)


def _check(gallery: Tensor, query: Tensor) -> None:
    if len(gallery) == 0 or len(query) == 0:
        raise ValueError(f"{len(query)} queries for {len(gallery)} other videos; accepted are 1 or more of both")
    if not (gallery.isfinite().all() and query.isfinite().all()):
        raise ValueError("features are not finite; accepted are finite numbers")


def _nearest_labels(
    query: Tensor, gallery: Tensor, gallery_labels: Tensor, *, num_nearest: int, exclude_self: bool
) -> Int64[Tensor, "num_queries num_nearest"]:
    """The labels of each query's nearest gallery videos, nearest first. Equal cosines come in no order to
    rely on."""
    rows = []
    for first in range(0, len(query), QUERIES_AT_ONCE):
        cosines = query[first : first + QUERIES_AT_ONCE] @ gallery.T
        if exclude_self:
            cosines.diagonal(offset=first).fill_(float("-inf"))
        rows.append(gallery_labels[cosines.topk(num_nearest, dim=1).indices])
    return torch.cat(rows)


def _score(
    hits: Bool[Tensor, "num_queries num_nearest"], protocol: RetrievalProtocol, num_gallery: int
) -> RetrievalResult:
    return RetrievalResult(
        protocol=protocol.name,
        accuracy={k: hits[:, :k].any(dim=1).float().mean().item() for k in protocol.top_k if k <= num_gallery},
        skipped_k=tuple(k for k in protocol.top_k if k > num_gallery),
        num_queries=len(hits),
        num_gallery=num_gallery,
    )
