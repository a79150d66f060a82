"""What became of a run's validations, at its end."""

from dataclasses import dataclass
from typing import Any

from rspnet_platform.config import PretrainConfig
from rspnet_platform.run import Run
from rspnet_platform.train.checkpoint_list import ScoredCheckpoint, best_checkpoint
from rspnet_platform.validation.validation_ledger import Validation, ValidationLedger, counts


@dataclass(frozen=True, kw_only=True)
class ValidationSummary:
    """`best` is None for a run none of whose checkpoints has a score; `objective` names that."""

    objective: str | None
    entries: list[Validation]
    best: ScoredCheckpoint | None

    @classmethod
    def of_run(cls, run: Run[PretrainConfig]) -> "ValidationSummary":
        objective = run.config.validation.objective
        entries = ValidationLedger.of_run(run.uri).entries()
        has_scores = any(objective in entry.metrics for entry in entries)
        best = best_checkpoint(run.uri, objective) if objective and has_scores else None
        return cls(objective=objective, entries=entries, best=best)

    @property
    def lines(self) -> list[str]:
        """For the person who started the job."""
        lines = []
        if self.best is not None:
            random = next(entry.metrics for entry in self.entries if self.objective in entry.metrics)
            beside = random[str(self.objective).replace("/", "/random_", 1)]
            lines = [
                f"best         {self.best.uri}",
                f"             step {self.best.step}, {self.objective} {self.best.score:.1%} (random initialisation "
                f"{beside:.1%})",
            ]
        if self.entries:
            found = counts(self.entries)
            lines.append(
                f"validation   {found['num_validated']} checkpoints, {found['num_failed']} failed, "
                f"{found['num_left_out']} left out while the one before was going on"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Part of the job's result."""
        best = self.best
        return {
            "best_checkpoint": best and best.uri,
            "best_checkpoint_step": best and best.step,
            "best_checkpoint_score": best and best.score,
            "validation": {"objective": self.objective, **counts(self.entries)},
        }
