"""The choices of an optimizer. Imports no torch: `--help` reads them."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from rspnet_core.schedules import ScheduleConfig

OptimizerName = Literal["sgd", "lars", "adamw"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The defaults are the published RSPNet code's: SGD with weight decay on all parameters, and `learning_rate` for a
    global batch of `base_batch_size`, scaled linearly to the run's own; none leaves it as it is.

    `decay_norms_and_biases`: off keeps weight decay (and LARS's rescaling) from parameters of one dimension or none, as
    CVRL, SimCLR and AdamW's users have it (rho-MoCo from batch norm alone: its head's biases are decayed).
    `trust_coefficient` is LARS's alone, `betas` AdamW's, `momentum` and `nesterov` not AdamW's. `max_gradient_norm`
    clips the norm of all gradients together; none does not.
    """

    name: OptimizerName = "sgd"
    learning_rate: float = 0.1
    base_batch_size: int | None = 64
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-4
    decay_norms_and_biases: bool = True
    nesterov: bool = False
    trust_coefficient: float = 1e-3
    max_gradient_norm: float | None = None
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        if self.name not in get_args(OptimizerName):
            raise ValueError(f"name is {self.name!r}; accepted are {', '.join(get_args(OptimizerName))}")
        for name in ("learning_rate", "base_batch_size", "trust_coefficient", "max_gradient_norm"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} is {value}; accepted are numbers above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; accepted are 0 to below 1")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas is {self.betas}; accepted are 0 to below 1")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; accepted are numbers from 0 on")
        if self.nesterov and (self.momentum == 0 or self.name != "sgd"):
            raise ValueError("nesterov is True; accepted with sgd and a momentum above 0")

    def peak_learning_rate(self, global_batch_size: int) -> float:
        """The schedule's peak for a run with `global_batch_size` videos a step."""
        if self.base_batch_size is None:
            return self.learning_rate
        return self.learning_rate * global_batch_size / self.base_batch_size
