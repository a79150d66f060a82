"""The choices of an optimizer. Imports no torch: `--help` reads them."""

from dataclasses import dataclass, field

from rspnet_core.schedules import ScheduleConfig


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """SGD. The defaults are the published RSPNet code's: weight decay on all parameters, and `learning_rate`
    for a global batch of `base_batch_size`, scaled linearly to the run's own."""

    learning_rate: float = 0.1
    base_batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 1e-4
    nesterov: bool = False
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "base_batch_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are numbers above 0")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; accepted are 0 to below 1")
        if self.weight_decay < 0:
            raise ValueError(f"weight_decay is {self.weight_decay}; accepted are numbers from 0 on")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is True with momentum 0; accepted with a momentum above 0")

    def peak_learning_rate(self, global_batch_size: int) -> float:
        """The schedule's peak for a run with `global_batch_size` videos a step."""
        return self.learning_rate * global_batch_size / self.base_batch_size
