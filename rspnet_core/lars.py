"""Layer-wise adaptive rates for large batches (LARS, You et al., arXiv 1708.03888, Algorithm 1).

    lambda_l = eta ||w_l|| / (||g_l|| + beta ||w_l||)
    v_l <- m v_l + lr lambda_l (g_l + beta w_l),    w_l <- w_l - v_l

w_l a layer's weights, g_l their gradient, eta `trust_coefficient`, beta `weight_decay`, m `momentum`. A layer whose
weights or gradient are 0 has lambda_l = 1.

As in the code of rho-SimCLR and rho-BYOL (SlowFast), and not as above, the velocity takes lambda_l (g_l + beta w_l) and
the rate is applied outside, so that a change of the rate does not linger in the velocity; and groups with `adapts`
False (norms and biases) are plain SGD without decay. SimCLR's own code (google-research/simclr) has the rate inside the
velocity by default (`classic_momentum`), and eta ||w_l|| / ||g_l + beta w_l|| in place of lambda_l: under a schedule
its steps differ from these.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import Optimizer


class LARS(Optimizer):
    """`params` may be groups; a group's `adapts` says whether lambda_l is applied."""

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "trust_coefficient": trust_coefficient,
            "adapts": True,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """One step; `closure` is torch's, and evaluated first where given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: torch.Tensor, group: dict[str, Any]) -> None:
        assert parameter.grad is not None
        update = parameter.grad.add(parameter, alpha=group["weight_decay"])
        if group["adapts"]:
            weight_norm, gradient_norm = parameter.norm(), parameter.grad.norm()
            rate = group["trust_coefficient"] * weight_norm / (gradient_norm + group["weight_decay"] * weight_norm)
            # A comparison on the device: reading the norms would wait for it once a layer.
            update = update * torch.where((weight_norm > 0) & (gradient_norm > 0), rate, torch.ones_like(rate))
        state = self.state[parameter]
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        state["velocity"].mul_(group["momentum"]).add_(update)
        parameter.add_(state["velocity"], alpha=-group["lr"])
