"""The loop's checkpoints: every rank takes part, rank 0 writes and says which are validated."""

from dataclasses import dataclass, field

import ray.train

from rspnet_platform.train.checkpoints import DataState, report_checkpoint
from rspnet_platform.train.trained_samples import TrainedSamples
from rspnet_platform.train.training_state import TrainingState
from rspnet_platform.validation.validation_turns import ValidationTurns


@dataclass(kw_only=True)
class Saver:
    """`turns` is None for a run without validation."""

    state: TrainingState
    trained: TrainedSamples
    dataset_sha256: str
    turns: ValidationTurns | None
    _reported_step: int = field(default=0, init=False)
    _is_complete: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._reported_step = self.state.step

    def save(self, *, is_last: bool) -> None:
        """A checkpoint with everything in it."""
        self.trained.gather()
        state, metrics = self.state, {"step": self.state.step}
        if self.turns is not None:
            metrics |= self.turns.first_metrics
        if is_first_rank():
            is_validated = self.turns is not None and self.turns.takes(
                state.step, reported_step=self._reported_step, is_last=is_last
            )
            data_state = DataState(step=state.step, dataset_sha256=self.dataset_sha256, consumed=state.consumed)
            report_checkpoint(metrics, state.tensors(), data_state, state.config, is_validated=is_validated)
        else:
            report_checkpoint(metrics, None, None, state.config)
        self._reported_step = state.step
        self._is_complete = is_last or self.turns is None

    def finish(self) -> None:
        """Saves what has not been, and again what was not known to be the last: damaged videos can make the run a few
        steps shorter than planned."""
        if self._reported_step < self.state.step or not self._is_complete:
            self.save(is_last=True)


def is_first_rank() -> bool:
    return ray.train.get_context().get_world_rank() == 0
