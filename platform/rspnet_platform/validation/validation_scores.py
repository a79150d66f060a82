"""What features of a few videos say: whether one finds others of its class, and in how many directions they lie."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from rspnet_core.evaluation.probe_protocols import NEAREST_NEIGHBOURS
from rspnet_core.pretext.feature_spread import effective_rank, feature_std
from rspnet_platform.validation.validation_videos import ValidationVideo

NUM_NEIGHBOURS = 5
"""A class has 8 videos or more; knn's temperature is that of `NEAREST_NEIGHBOURS`."""


def spread_metrics(features: Float[Tensor, "videos feature"]) -> dict[str, float]:
    """`feature_std` and `effective_rank`. Raises ValueError for features that are not finite."""
    if not features.isfinite().all():
        raise ValueError("features are not finite; accepted are finite numbers")
    return {"feature_std": feature_std(features).item(), "effective_rank": effective_rank(features).item()}


def top1(features: Float[Tensor, "videos feature"], videos: Sequence[ValidationVideo], *, num_neighbours: int) -> float:
    """The share of videos whose class gets the most votes of their nearest by cosine, each counting exp(cosine / T), as
    in `neighbour_classes`; with one neighbour this is retrieval's top-1.

    Nobody votes for a video of its own source; one that nobody is left for is not asked. Raises ValueError where that
    is everyone.
    """
    names = sorted({str(video.label) for video in videos})
    labels = torch.tensor([names.index(str(video.label)) for video in videos])
    may_vote = ~same_source(videos)
    is_asked = may_vote.any(dim=1)
    if not is_asked.any():
        raise ValueError(f"each of the {len(videos)} videos is of one source; accepted are two sources or more")
    unit = F.normalize(features.double(), dim=1)
    cosines = (unit @ unit.T).masked_fill(~may_vote, -torch.inf)[is_asked]
    nearest = cosines.sort(dim=1, descending=True, stable=True)
    count = min(num_neighbours, len(videos) - 1)
    votes = ((nearest.values - nearest.values[:, :1])[:, :count] / NEAREST_NEIGHBOURS.temperature).exp()
    sums = votes.new_zeros(len(votes), len(names)).scatter_add(1, labels[nearest.indices[:, :count]], votes)
    return (sums.argmax(dim=1) == labels[is_asked]).double().mean().item()


def same_source(videos: Sequence[ValidationVideo]) -> Bool[Tensor, "videos videos"]:
    """Each video with itself, and with those that were cut from the same one."""
    sources = [video.video_index if video.source is None else video.source for video in videos]
    numbers = torch.tensor([sources.index(source) for source in sources])
    return numbers[:, None] == numbers[None]
