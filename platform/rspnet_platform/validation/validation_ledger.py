"""What became of each checkpoint that was to be validated: one small file a step in the run's folder."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rspnet_platform import storage

State = Literal["waiting", "left out", "failed", "validated"]
FOLDER = "validation"


@dataclass(frozen=True, kw_only=True)
class Validation:
    """`waiting`: handed in, and not ended. `num_starts` of its task, of which a crash needs another; `error` is that of
    one that failed; `damaged_videos` are missing from its metrics."""

    step: int
    state: State
    num_starts: int = 0
    num_samples: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    damaged_videos: list[str] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class ValidationLedger:
    """Rank 0 enters what it hands in and what it leaves out, the validation task what came of it."""

    uri: str

    @classmethod
    def of_run(cls, run_uri: str) -> "ValidationLedger":
        return cls(uri=storage.join(run_uri, FOLDER))

    def enter(self, validation: Validation) -> None:
        storage.write_json(self._place(validation.step), asdict(validation))

    def at(self, step: int) -> Validation | None:
        try:
            return Validation(**storage.read_json(self._place(step)))
        except FileNotFoundError:
            return None

    def entries(self) -> list[Validation]:
        """By step."""
        names = [name for name in storage.list_names(self.uri) if name.startswith("step_") and name.endswith(".json")]
        return [Validation(**storage.read_json(storage.join(self.uri, name))) for name in sorted(names)]

    def _place(self, step: int) -> str:
        return storage.join(self.uri, f"step_{step:010d}.json")


def counts(entries: list[Validation]) -> dict[str, int]:
    """How many were validated, failed and left out. One that never ended has failed."""
    states: list[Any] = [entry.state for entry in entries]
    return {
        "num_validated": states.count("validated"),
        "num_failed": states.count("failed") + states.count("waiting"),
        "num_left_out": states.count("left out"),
    }
