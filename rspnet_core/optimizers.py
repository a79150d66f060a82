"""Optimizers by name, over everything in a task that takes a gradient."""

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from rspnet_core.lars import LARS
from rspnet_core.optimizer_config import OptimizerConfig


def build_optimizer(
    task: nn.Module,
    config: OptimizerConfig,
    global_batch_size: int,
    learning_rate_factors: Mapping[str, float] | None = None,
) -> Optimizer:
    """Momentum copies take no gradient and are not in it. Two groups where norms and biases are not decayed.

    `learning_rate_factors`: by the beginning of parameters' names, as a task gives them; each is a group or two of its
    own.
    """
    rate = config.peak_learning_rate(global_batch_size)
    groups = parameter_groups(task, config, learning_rate_factors or {})
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


def parameter_groups(
    task: nn.Module, config: OptimizerConfig, learning_rate_factors: Mapping[str, float]
) -> list[dict[str, Any]]:
    """For each rate all in one group, or matrices and kernels in one and the rest, neither decayed nor adapted, in
    another."""
    trained = {name: parameter for name, parameter in task.named_parameters() if parameter.requires_grad}
    groups: list[dict[str, Any]] = []
    for beginning, factor in {**learning_rate_factors, "": 1.0}.items():
        names = [name for name in trained if name.startswith(beginning)]
        parameters = [trained.pop(name) for name in names]
        rate = {} if factor == 1 else {"learning_rate_factor": factor}
        if config.decay_norms_and_biases:
            groups += [{"params": parameters, **rate}]
        else:
            groups += [
                {"params": [p for p in parameters if p.ndim > 1], **rate},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "adapts": False, **rate},
            ]
    return [group for group in groups if group["params"]]
