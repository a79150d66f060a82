"""Which checkpoints are validated: decided on rank 0, as they are reported."""

from dataclasses import dataclass

import ray.train
from ray.train import CheckpointConsistencyMode, ReportedCheckpointStatus

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

    def takes(self, step: int, *, reported_step: int, is_last: bool) -> bool:
        """Whether the checkpoint of `step` is handed in, and enters it. `reported_step` is that of the one before."""
        if step % self.every_num_steps and not is_last:
            return False
        is_taken = is_last or self.each_in_turn or not is_busy(reported_step)
        self.ledger.enter(Validation(step=step, state="waiting" if is_taken else "left out"))
        return is_taken


def is_busy(reported_step: int) -> bool:
    """Whether a checkpoint waits for its validation. As long as Ray Train does not know of the one that was reported
    last (0: none was), that may wait for its own."""
    reported = ray.train.get_all_reported_checkpoints(CheckpointConsistencyMode.COMMITTED, timeout_s=0.1)
    is_known = not reported_step or any(each.metrics.get("step") == reported_step for each in reported)
    return not is_known or any(each.status == ReportedCheckpointStatus.PENDING_VALIDATION for each in reported)
