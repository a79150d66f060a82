"""Exact nearest-neighbour retrieval by cosine: does a video find others of its class?"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from rspnet_core.evaluation.cosine_search import nearest, num_others_at_least
from rspnet_core.evaluation.retrieval_protocol import Centring, RetrievalProtocol


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
    unit_gallery, unit_query = directions(gallery, query, protocol.centring)
    num_nearest = max((k for k in protocol.top_k if k <= len(gallery)), default=0)
    _, indices = nearest(unit_query, unit_gallery, num_nearest)
    return _score(gallery_labels[indices] == query_labels[:, None], protocol, num_gallery=len(gallery))


def leave_one_source_out(
    features: Float[Tensor, "videos feature"],
    labels: Int64[Tensor, " videos"],
    sources: Int64[Tensor, " videos"],
    protocol: RetrievalProtocol,
) -> RetrievalResult:
    """Each video against all those of other sources, for data without a split: a video finds neither itself nor what
    was cut from the same recording, which shows the same room and the same people.

    `num_gallery` is how many others each video has at least. Any `centring` takes the mean over all videos away: they
    are gallery and split at once. Raises ValueError for fewer than two sources, or features that are not finite.
    """
    num_others = num_others_at_least(sources)
    _check(features[:num_others], features)
    unit, _ = directions(features, features, protocol.centring)
    num_nearest = max((k for k in protocol.top_k if k <= num_others), default=0)
    _, indices = nearest(unit, unit, num_nearest, sources=sources)
    return _score(labels[indices] == labels[:, None], protocol, num_gallery=num_others)


def directions(
    gallery: Float[Tensor, "num_gallery feature"], query: Float[Tensor, "num_queries feature"], centring: Centring
) -> tuple[Float[Tensor, "num_gallery feature"], Float[Tensor, "num_queries feature"]]:
    """Unit vectors of both sides, centred as the protocol says."""
    if centring != "none":
        gallery_mean = gallery.mean(dim=0)
        query_mean = query.mean(dim=0) if centring == "each_split" else gallery_mean
        gallery, query = gallery - gallery_mean, query - query_mean
    return F.normalize(gallery, dim=1), F.normalize(query, dim=1)


def _check(gallery: Tensor, query: Tensor) -> None:
    if len(gallery) == 0 or len(query) == 0:
        raise ValueError(
            f"{len(query)} queries for {len(gallery)} other videos, of other sources; accepted: 1 or more of both"
        )
    if not (gallery.isfinite().all() and query.isfinite().all()):
        raise ValueError("features are not finite; accepted are finite numbers")


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
