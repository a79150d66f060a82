"""Which checkpoints are validated: decided on rank 0, as they are reported."""

from collections.abc import Callable
from dataclasses import dataclass

from rspnet_platform.validation.validation_ledger import Validation, ValidationLedger

NOT_VALIDATED = -1.0
"""The score of a checkpoint until it is validated: below all others. Without any Ray complains of each."""


@dataclass(frozen=True, kw_only=True)
class ValidationTurns:
    """`score` names the metric that Ray Train keeps checkpoints by, or is None where there is none. A checkpoint is due
    every `every_num_steps`, and the last one always; see `ValidationOptions` for `each_in_turn`."""

    score: str | None
    every_num_steps: int
    each_in_turn: bool
    ledger: ValidationLedger

    @property
    def first_metrics(self) -> dict[str, float]:
        """What a checkpoint is reported with before it is validated."""
        return {} if self.score is None else {self.score: NOT_VALIDATED}

    def takes(self, step: int, *, is_last: bool, is_busy: Callable[[], bool]) -> bool:
        """Whether the checkpoint of `step` is handed in, and enters it. `is_busy` tells whether another waits."""
        if step % self.every_num_steps and not is_last:
            return False
        is_taken = is_last or self.each_in_turn or not is_busy()
        self.ledger.enter(Validation(step=step, state="waiting" if is_taken else "left out"))
        return is_taken
