"""The loop's checkpoints: every rank takes part, rank 0 writes and says which are validated."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rspnet_platform.train.checkpoints import DataState, write_checkpoint
from rspnet_platform.train.listeners import Listener
from rspnet_platform.train.trained_samples import TrainedSamples
from rspnet_platform.train.training_state import TrainingState
from rspnet_platform.train.worker import Worker
from rspnet_platform.validation.validation_turns import ValidationTurns


@dataclass(kw_only=True)
class Saver:
    """`turns` is None for a run without validation; `listeners` are rank 0's."""

    worker: Worker
    state: TrainingState
    trained: TrainedSamples
    dataset_sha256: str
    turns: ValidationTurns | None
    listeners: Sequence[Listener] = ()
    _reported_step: int = field(default=0, init=False)
    _is_complete: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        self._reported_step = self.state.step

    def save(self, *, is_last: bool) -> None:
        """A checkpoint with everything in it. Waits for the one before: a store that is slower than the training would
        fall behind without bound, and a run that goes on with it."""
        self.trained.gather()
        state, metrics = self.state, {"step": self.state.step}
        if self.turns is not None:
            metrics |= self.turns.first_metrics
        if self.worker.is_first:
            self.worker.wait_until_listed(self._reported_step)
            for listener in self.listeners:
                listener.before_checkpoint(state.step)
            is_validated = self.turns is not None and self.turns.takes(
                state.step, is_last=is_last, is_busy=lambda: self.worker.is_validating(self._reported_step)
            )
            data_state = DataState(step=state.step, dataset_sha256=self.dataset_sha256, consumed=state.consumed)
            folder = write_checkpoint(state.tensors(), data_state, state.config)
            self.worker.report(metrics, folder, is_validated=is_validated)
        else:
            self.worker.report(metrics, None, is_validated=False)
        self._reported_step = state.step
        self._is_complete = is_last or self.turns is None

    def finish(self, *, is_last: bool) -> None:
        """Saves what has not been, and where it `is_last`, again what was not known to be: damaged videos can make the
        run a few steps shorter than planned."""
        if self._reported_step < self.state.step or (is_last and not self._is_complete):
            self.save(is_last=is_last)
