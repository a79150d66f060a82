"""Instance discrimination against a set of negatives: InfoNCE (arXiv 1807.03748; as in MoCo, arXiv
1911.05722, eq. 1).

    L_i = -log( exp(q_i . k_i / t) / (exp(q_i . k_i / t) + sum_n exp(q_i . k_n / t)) )

q query, k_i positive, k_n negatives, t temperature: all unit vectors, which the caller makes sure of (a
queue's keys already are). In RSPNet's notation (arXiv 2011.07949) this is L_a with d(u, v) = u . v.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class InfoNCEResult:
    """`top1` is the detached share of queries whose positive is nearer than every negative; a tie is a miss,
    so that collapsed features do not look like perfect ones."""

    loss: Float[Tensor, " batch"]
    top1: Float[Tensor, ""]


def info_nce(
    query: Float[Tensor, "batch embedding"],
    positive: Float[Tensor, "batch embedding"],
    negatives: Float[Tensor, "num_negatives embedding"],
    temperature: float,
    negative_mask: Bool[Tensor, "batch num_negatives"] | None = None,
) -> InfoNCEResult:
    """One loss a query, each against its own positive and all negatives, in nats.

    `negative_mask` is True where a negative counts for a query; the rest are left out of the denominator. A
    query without any negative has a loss of 0. In float32 whatever autocast says: a cosine divided by a
    temperature of 0.07 loses its last digits in bfloat16.
    """
    with torch.autocast(query.device.type, enabled=False):
        positive_logits = (query.float() * positive.float()).sum(dim=1) / temperature
        negative_logits = query.float() @ negatives.float().T / temperature
    if negative_mask is not None:
        negative_logits = negative_logits.masked_fill(~negative_mask, float("-inf"))
    logits = torch.cat((positive_logits[:, None], negative_logits), dim=1)
    target = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    is_nearest = (positive_logits[:, None] > negative_logits).all(dim=1)
    return InfoNCEResult(
        loss=F.cross_entropy(logits, target, reduction="none"), top1=is_nearest.float().mean().detach()
    )
