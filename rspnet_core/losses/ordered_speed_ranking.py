"""Relative speed perception of more than two speeds: the nearer in speed, the nearer in feature space.

An extension of RSPNet's ranking (arXiv 2011.07949, eq. 2), of ours. For an anchor a and each two other clips of its
video, j nearer to the anchor in speed than k:

    L_jk = max(0, gamma (D_k - D_j) - (d(a, j) - d(a, k))),    D_j = | log2(s_a) - log2(s_j) |

| here | |
|---|---|
| d | the cosine, as in `speed_ranking` |
| s | playback speeds: `anchor_speed`, `other_speeds` |
| D | distance in speed, in doublings |
| gamma | `margin`: cosine units for each doubling |

An anchor's loss is the mean over its pairs. Two clips equally far from the anchor in speed (1 and 4 from 2) are no
pair. With an anchor, one clip of its own speed and one of the double or half speed there is one pair, D_k - D_j is 1,
and this is `speed_ranking` with the same margin.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST_LEAD_IN_DOUBLINGS = 1e-4
"""Rounding of logarithms stays below; two different whole speeds differ by more up to 10,000."""


@dataclass(frozen=True, kw_only=True)
class OrderedSpeedRankingResult:
    """`accuracy` is the detached mean over anchors of the share of pairs in the right order; a tie is a miss."""

    loss: Float[Tensor, " batch"]
    accuracy: Float[Tensor, ""]


def ordered_speed_ranking(
    anchor: Float[Tensor, "batch embedding"],
    others: Float[Tensor, "batch num_others embedding"],
    anchor_speed: Float[Tensor, " batch"],
    other_speeds: Float[Tensor, "batch num_others"],
    margin: float,
) -> OrderedSpeedRankingResult:
    """One loss an anchor, in cosine units. Takes unit vectors and speeds above 0; computes in float32 whatever
    autocast says. An anchor without any pair has a loss and an accuracy of 0."""
    cosine = (anchor.float()[:, None] * others.float()).sum(dim=2)
    distance = (anchor_speed.float().log2()[:, None] - other_speeds.float().log2()).abs()
    # Over [batch, near, far]: every two clips in both orders, of which at the most one is a pair.
    farther_by = distance[:, None, :] - distance[:, :, None]
    nearer_by = cosine[:, :, None] - cosine[:, None, :]
    is_pair = farther_by > SMALLEST_LEAD_IN_DOUBLINGS
    num_pairs = is_pair.sum(dim=(1, 2)).clamp(min=1)
    hinge = torch.relu(margin * farther_by - nearer_by)
    is_right = is_pair & (nearer_by > 0)
    return OrderedSpeedRankingResult(
        loss=(hinge * is_pair).sum(dim=(1, 2)) / num_pairs,
        accuracy=(is_right.sum(dim=(1, 2)) / num_pairs).mean().detach(),
    )
