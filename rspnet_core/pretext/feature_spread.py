"""Whether an encoder still tells videos apart: the first thing to look at when a loss falls too well."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def feature_std(features: Float[Tensor, "batch feature"]) -> Float[Tensor, ""]:
    """How far unit features spread over the batch: 1 for directions without preference, 0 when all are
    equal."""
    spread = F.normalize(features.detach().float(), dim=1).std(dim=0, correction=0).mean()
    return spread * features.shape[1] ** 0.5
