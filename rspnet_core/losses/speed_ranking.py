"""Relative speed perception: clips of equal playback speed are nearer than clips of different speed.

    L_m = max(0, gamma - (d(same) - d(diff)))                        (arXiv 2011.07949, Fig. 2 and eq. 2)

d is the cosine here, gamma the margin in cosine units: no temperature, unlike in the published code, whose
margin of 2.0 on cosines divided by 0.07 is a margin of 0.14 with the loss weighted by 1 / 0.07.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class SpeedRankingResult:
    """`accuracy` is the detached share of queries nearer to the key of their own speed; a tie is a miss."""

    loss: Float[Tensor, " batch"]
    accuracy: Float[Tensor, ""]


def speed_ranking(
    query: Float[Tensor, "batch embedding"],
    same_speed: Float[Tensor, "batch embedding"],
    other_speed: Float[Tensor, "batch embedding"],
    margin: float,
) -> SpeedRankingResult:
    """One hinge loss a query, in cosine units. Takes unit vectors; computes in float32."""
    query = query.float()
    lead = (query * same_speed.float()).sum(dim=1) - (query * other_speed.float()).sum(dim=1)
    return SpeedRankingResult(loss=torch.relu(margin - lead), accuracy=(lead > 0).float().mean().detach())
