"""The learning rate as a pure function of the step: nothing to checkpoint. Imports no torch."""

from dataclasses import dataclass
from math import cos, pi


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Linear warm-up over the first `warmup_fraction` of all steps, then half a cosine down to
    `final_fraction` of the peak. The defaults are RSPNet's: no warm-up, down to a thousandth (there per
    epoch, here per step)."""

    warmup_fraction: float = 0.0
    final_fraction: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(f"warmup_fraction is {self.warmup_fraction}; accepted are 0 to below 1")
        if not 0 <= self.final_fraction <= 1:
            raise ValueError(f"final_fraction is {self.final_fraction}; accepted are 0 to 1")


def learning_rate(schedule: ScheduleConfig, *, peak: float, step: int, num_steps: int) -> float:
    """The rate at optimizer step `step`, counted from 0. Warm-up ends at the peak; the last step has the
    final rate.

    Raises ValueError for a step that the run does not have.
    """
    if not 0 <= step < num_steps:
        raise ValueError(f"step is {step}; accepted are 0 to {num_steps - 1} in a run of {num_steps}")
    num_warmup_steps = round(schedule.warmup_fraction * num_steps)
    if step < num_warmup_steps:
        return peak * (step + 1) / num_warmup_steps
    progress = (step - num_warmup_steps) / max(1, num_steps - 1 - num_warmup_steps)
    return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * (1 + cos(pi * progress)) / 2)
