"""Optimizers by name, over everything in a task that takes a gradient."""

from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from rspnet_core.lars import LARS
from rspnet_core.optimizer_config import OptimizerConfig


def build_optimizer(task: nn.Module, config: OptimizerConfig, global_batch_size: int) -> Optimizer:
    """Momentum copies take no gradient and are not in it. Two groups where norms and biases are not decayed."""
    rate = config.peak_learning_rate(global_batch_size)
    groups = parameter_groups(task, config)
    if config.name == "adamw":
        return AdamW(groups, lr=rate, betas=config.betas, weight_decay=config.weight_decay)
    if config.name == "lars":
        return LARS(
            groups,
            lr=rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            trust_coefficient=config.trust_coefficient,
        )
    return SGD(
        groups,
        lr=rate,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def parameter_groups(task: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """All in one group, or matrices and kernels in one and the rest, neither decayed nor adapted, in another."""
    trained = [parameter for parameter in task.parameters() if parameter.requires_grad]
    if config.decay_norms_and_biases:
        return [{"params": trained}]
    groups = [
        {"params": [parameter for parameter in trained if parameter.ndim > 1]},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "adapts": False},
    ]
    return [group for group in groups if group["params"]]
