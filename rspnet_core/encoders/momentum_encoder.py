"""A slow copy of a network that makes keys (MoCo, arXiv 1911.05722, eq. 2):

theta_k <- m theta_k + (1 - m) theta_q, with theta_q the trained network's parameters and m the momentum.
"""

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class MomentumEncoder(nn.Module):
    """Starts equal to `source` and takes no gradient. Parameters alone follow the source: batch norm's
    running statistics are buffers and come from the copy's own forwards, as in the published code of MoCo and
    RSPNet."""

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.network = deepcopy(source).requires_grad_(False)

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    @torch.no_grad()
    def follow(self, source: nn.Module, momentum: float) -> None:
        """One step towards `source`: momentum 1 stays, 0 copies. One fused kernel for all parameters."""
        average = get_ema_multi_avg_fn(momentum)
        average(list(self.network.parameters()), list(source.parameters()), torch.zeros(()))
