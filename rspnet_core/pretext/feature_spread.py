"""Whether an encoder still tells videos apart: the first thing to look at when a loss falls too well."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def feature_std(features: Float[Tensor, "batch feature"]) -> Float[Tensor, ""]:
    """How far unit features spread over the batch: 1 for directions without preference, 0 when all are
    equal."""
    spread = F.normalize(features.detach().float(), dim=1).std(dim=0, correction=0).mean()
    return spread * features.shape[1] ** 0.5


def effective_rank(features: Float[Tensor, "batch feature"]) -> Float[Tensor, ""]:
    """exp(-sum_k p_k log p_k) with p_k = s_k / sum_i s_i, the features' singular values: in how many directions they
    lie, from 1 to the smaller of batch and feature.

    Roy and Vetterli, "The effective rank" (EUSIPCO 2007); for encoders "RankMe" (arXiv 2210.02885), equation 1. Of the
    features as they are, as there; 1 where all are 0.
    """
    values = torch.linalg.svdvals(features.detach().double())
    shares = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(shares).sum().exp().float()
