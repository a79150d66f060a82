"""NT-Xent: each clip's embedding finds another clip of its video among all clips of the global batch (SimCLR, arXiv
2002.05709, eq. 1; CVRL, arXiv 2008.03800, eq. 1).

    l(i, j) = -log( exp(s_ij / tau) / sum_(k != i) exp(s_ik / tau) ),    s_ij = z_i . z_j / (|z_i| |z_j|)

| papers | here |
|---|---|
| z_i, z_j, two clips of one video | `views[v, i]`, `views[v + 1, i]` |
| N videos in the global batch | `batch`, times the workers |
| sum over k != i: 2N - 1 candidates, one of them the positive | the other view's N rows, the own view's N - 1 others |
| tau | `temperature` |

Across workers (three designs are in use, with three gradients): each worker takes the mean over its own anchors
against the candidates of all, which are gathered with gradient (`all_gather_with_gradient`). The mean over workers of
losses and, with DistributedDataParallel, of gradients is then that of one process with the global batch.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from rspnet_core.distributed import all_gather_with_gradient, rank

Reduction = Literal["mean", "sum_of_directions"]


@dataclass(frozen=True, kw_only=True)
class NTXentResult:
    """`loss` and `top1` are this worker's: their mean over workers is the global batch's.

    `top1` is the detached share of anchors whose positive is nearer than every other candidate; a tie is a miss, so
    that collapsed features do not look like perfect ones. (CVRL's published code reports one direction, among the
    other view's candidates alone.)
    """

    loss: Float[Tensor, ""]
    top1: Float[Tensor, ""]


def nt_xent(
    views: Float[Tensor, "num_views batch embedding"], temperature: float, reduction: Reduction = "mean"
) -> NTXentResult:
    """The loss in nats over this worker's anchors. Embeddings of any length: they are normalised here.

    Two views make one pair, with two directions: "mean" takes the mean over all 2N anchors (SimCLR),
    "sum_of_directions" the sum of the two views' means, which is twice as much (CVRL's published code). More than two
    views make a pair of each and the next, with candidates from these two alone, and the pairs' losses are summed, as
    the gradients are in rho-SimCLR's published code (arXiv 2104.14558).

    In float32 whatever autocast says: a cosine divided by a temperature of 0.1 loses its last digits in bfloat16.
    Costs one gather of all views, and one reduction of their gradient. Raises ValueError for a single view.
    """
    if len(views) < 2:
        raise ValueError(f"{len(views)} views of each video; accepted are 2 or more")
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction is {reduction!r}; accepted are {', '.join(get_args(Reduction))}")
    with torch.autocast(views.device.type, enabled=False):
        local = F.normalize(views.float(), dim=-1)
        everyone = all_gather_with_gradient(local.transpose(0, 1).contiguous()).transpose(0, 1)
        directions = []
        for one, other in pairwise(range(len(views))):
            directions.append(_direction(local[one], everyone[one], everyone[other], temperature))
            directions.append(_direction(local[other], everyone[other], everyone[one], temperature))
    losses, hits = (torch.stack(parts) for parts in zip(*directions, strict=True))
    loss = losses.mean(dim=1).sum()
    return NTXentResult(loss=loss / 2 if reduction == "mean" else loss, top1=hits.mean().detach())


def _direction(
    anchors: Float[Tensor, "batch embedding"],
    own_view: Float[Tensor, "global_batch embedding"],
    other_view: Float[Tensor, "global_batch embedding"],
    temperature: float,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """The loss of each of this worker's anchors, and 1 where its positive is the nearest candidate."""
    videos = rank() * len(anchors) + torch.arange(len(anchors), device=anchors.device)
    target = videos[:, None]
    itself = float("-inf")
    logits = torch.cat(
        (
            anchors @ other_view.T / temperature,
            (anchors @ own_view.T / temperature).scatter(1, target, itself),
        ),
        dim=1,
    )
    nearest_other = logits.detach().scatter(1, target, itself).amax(dim=1)
    is_nearest = logits.detach().gather(1, target).squeeze(1) > nearest_other
    return F.cross_entropy(logits, videos, reduction="none"), is_nearest.float()
