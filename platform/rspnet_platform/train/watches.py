"""What looks at a run from rank 0 while it trains, adds to its metrics, and may ask for its stop."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import torch.distributed as dist

from rspnet_core.train_step import NonFiniteLossError
from rspnet_platform.command_line import UserError
from rspnet_platform.stream.damage import DamageBudget

MAX_LISTING_FRACTION = 0.01
"""Of the time: a ledger on a slow store is looked at less often."""


class RunStoppedError(UserError):
    """The run was stopped before its end; the message says why and what would let it go on.

    `reason` says why in one word, for programs. `saves_state`: with a checkpoint of the step that it stopped after.
    `ends_run`: that checkpoint counts as the run's last one, and is validated.
    """

    reason: ClassVar[str] = "stopped"
    saves_state: ClassVar[bool] = True
    ends_run: ClassVar[bool] = True


class CollapsedError(RunStoppedError):
    """The encoder no longer tells videos apart. What it was before is worth more than a checkpoint of that."""

    reason = "collapsed"
    saves_state = False


class DivergedError(RunStoppedError):
    """The loss is infinite or not a number. No parameter was changed by that step, but running statistics were."""

    reason = "diverged"
    saves_state = False


def diverged(error: NonFiniteLossError) -> DivergedError:
    return DivergedError(
        f"{error}. The last checkpoint stays. Accepted is another --run.name with a lower --optimizer.learning-rate, a "
        "longer warm-up, or --training.precision fp32: the same run would come to the same step"
    )


@dataclass(frozen=True, kw_only=True)
class Observation:
    """`metrics` join those of the step. A `stop_reason` ends the run after this step, on all ranks, and the driver
    raises `error` with it."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    stop_reason: str | None = None
    error: type[RunStoppedError] = RunStoppedError

    @property
    def stop(self) -> RunStoppedError | None:
        return None if self.stop_reason is None else self.error(self.stop_reason)


class Watch(Protocol):
    """Asked on rank 0 at each log step."""

    def look(self, step: int, metrics: Mapping[str, float]) -> Observation: ...


@dataclass(kw_only=True)
class DamageWatch:
    """Counts the damaged videos that decode tasks have met so far."""

    budget: DamageBudget
    _num_damaged: int = field(default=0, init=False)
    _next_look_seconds: float = field(default=0.0, init=False)

    def look(self, step: int, metrics: Mapping[str, float]) -> Observation:  # noqa: ARG002
        now = time.monotonic()
        if now >= self._next_look_seconds:
            self._num_damaged = self.budget.ledger.count()
            later = time.monotonic()
            self._next_look_seconds = later + (later - now) / MAX_LISTING_FRACTION
        return Observation(
            metrics={"data/num_damaged_videos": float(self._num_damaged)},
            stop_reason=self.budget.excess(self._num_damaged),
        )


def shared_by_all_ranks(stop: RunStoppedError | None) -> RunStoppedError | None:
    """Rank 0's word. A barrier of a few bytes: all ranks stop after the same step, so that none waits for another."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return stop
    word = [stop]
    dist.broadcast_object_list(word, src=0)
    return word[0]
