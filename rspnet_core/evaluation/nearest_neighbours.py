"""Classification by the votes of the nearest videos."""

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from rspnet_core.evaluation.cosine_search import nearest


def neighbour_classes(
    gallery: Float[Tensor, "num_gallery feature"],
    gallery_labels: Int64[Tensor, " num_gallery"],
    query: Float[Tensor, "num_queries feature"],
    *,
    num_neighbours: int,
    temperature: float,
    sources: Int64[Tensor, " num_gallery"] | None = None,
) -> Int64[Tensor, " num_queries"]:
    """The class whose k nearest gallery videos have the largest sum of exp(cosine / temperature), for each query.

    Among equal sums the class with the smaller number is taken, among equal cosines the video that comes first in the
    gallery. `sources`: query i is gallery video i, and none of its own source votes. Raises ValueError for more
    neighbours than there are.
    """
    cosines, indices = nearest(F.normalize(query, dim=1), F.normalize(gallery, dim=1), num_neighbours, sources=sources)
    # Relative to the nearest one's vote: exp(1 / 0.005) would be infinite.
    votes = ((cosines - cosines[:, :1]).double() / temperature).exp()
    sums = votes.new_zeros(len(query), int(gallery_labels.max()) + 1)
    return sums.scatter_add(1, gallery_labels[indices], votes).argmax(dim=1)
