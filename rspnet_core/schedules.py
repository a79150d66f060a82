"""The learning rate as a pure function of the step: nothing to checkpoint. Imports no torch."""

from dataclasses import dataclass
from math import cos, pi
from typing import Literal, get_args

ScheduleKind = Literal["cosine", "steps", "constant"]


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """Linear warm-up over the first `warmup_fraction` of all steps, then `kind`:

    "cosine", half a cosine down to `final_fraction` of the peak; "steps", the peak times `step_factor` once for each of
    `milestone_fractions` (of all steps) that has been reached; "constant", the peak. The defaults are RSPNet's: no
    warm-up, down to a thousandth (there per epoch, here per step).
    """

    kind: ScheduleKind = "cosine"
    warmup_fraction: float = 0.0
    final_fraction: float = 1e-3
    milestone_fractions: tuple[float, ...] = (1 / 3, 2 / 3)
    step_factor: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in get_args(ScheduleKind):
            raise ValueError(f"kind is {self.kind!r}; accepted are {', '.join(get_args(ScheduleKind))}")
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(f"warmup_fraction is {self.warmup_fraction}; accepted are 0 to below 1")
        if not 0 <= self.final_fraction <= 1:
            raise ValueError(f"final_fraction is {self.final_fraction}; accepted are 0 to 1")
        milestones = self.milestone_fractions
        if list(milestones) != sorted(set(milestones)) or not all(0 < fraction < 1 for fraction in milestones):
            raise ValueError(f"milestone_fractions is {milestones}; accepted are rising numbers between 0 and 1")
        if not 0 < self.step_factor <= 1:
            raise ValueError(f"step_factor is {self.step_factor}; accepted: above 0, up to 1")


def learning_rate(schedule: ScheduleConfig, *, peak: float, step: int, num_steps: int) -> float:
    """The rate at optimizer step `step`, counted from 0. Warm-up ends at the peak; a cosine's last step has the final
    rate.

    Raises ValueError for a step that the run does not have.
    """
    if not 0 <= step < num_steps:
        raise ValueError(f"step is {step}; accepted are 0 to {num_steps - 1} in a run of {num_steps}")
    num_warmup_steps = round(schedule.warmup_fraction * num_steps)
    if step < num_warmup_steps:
        return peak * (step + 1) / num_warmup_steps
    if schedule.kind == "constant":
        return peak
    if schedule.kind == "steps":
        return peak * schedule.step_factor ** sum(step >= f * num_steps for f in schedule.milestone_fractions)
    progress = (step - num_warmup_steps) / max(1, num_steps - 1 - num_warmup_steps)
    return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * (1 + cos(pi * progress)) / 2)
