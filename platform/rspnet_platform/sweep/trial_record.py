"""What a sweep knows of its trials, one JSON file each, in the sweep's folder.

This, not Tune's pickled state, is what a sweep goes on from: it can be read, it outlives a change of the code, and a
file that is whole or not there cannot be torn by a kill.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from rspnet_platform import storage

Kind = Literal["search", "repeat"]
TrialState = Literal["running", "finished", "stopped early", "diverged", "collapsed", "failed"]
WORST_SCORE = 0.0
"""Of a share of right answers."""
COUNTS_AS_WORST = ("diverged", "collapsed")


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of a checkpoint: what the objective says, and the same of a random initialisation where that is known."""

    step: int
    num_samples: int
    objective: float
    random: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """`repeats`: the number of the trial whose parameters a repeat has. `failures`: why it failed, as often as it did.
    `message`: why it ended as it did."""

    number: int
    kind: Kind
    parameters: dict[str, Any]
    seed: int
    repeats: int | None = None
    state: TrialState = "running"
    scores: tuple[Score, ...] = ()
    failures: tuple[str, ...] = ()
    message: str = ""
    mlflow_run_id: str | None = None

    @property
    def name(self) -> str:
        """Of its run."""
        return f"trial-{self.number:04d}" if self.repeats is None else f"trial-{self.repeats:04d}-seed-{self.seed}"

    @property
    def value(self) -> float | None:
        """What its parameters are worth: the score of its last checkpoint. None for a failure, which is no fault of
        theirs, and before the first score."""
        if self.state in COUNTS_AS_WORST:
            return WORST_SCORE
        return None if self.state == "failed" or not self.scores else self.scores[-1].objective

    def with_score(self, score: Score) -> "TrialRecord":
        """A step that was scored before, by a run that was killed and went on, has its newest score."""
        by_step = {each.step: each for each in self.scores} | {score.step: score}
        return replace(self, scores=tuple(by_step[step] for step in sorted(by_step)))

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "TrialRecord":
        scores = tuple(Score(**score) for score in entry["scores"])
        return cls(**{**entry, "scores": scores, "failures": tuple(entry["failures"])})


@dataclass
class TrialBook:
    """All records of a sweep, in memory and in `folder`. The driver alone writes."""

    folder: str
    trials: dict[int, TrialRecord] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: str) -> "TrialBook":
        names = [name for name in storage.list_names(folder) if name.endswith(".json")]
        records = [TrialRecord.from_json(storage.read_json(storage.join(folder, name))) for name in names]
        return cls(folder=folder, trials={record.number: record for record in records})

    def save(self, record: TrialRecord) -> TrialRecord:
        self.trials[record.number] = record
        storage.write_json(record_uri(self.folder, record.number), asdict(record))
        return record

    def of(self, kind: Kind) -> list[TrialRecord]:
        return [self.trials[number] for number in sorted(self.trials) if self.trials[number].kind == kind]

    def repeats_of(self, number: int) -> list[TrialRecord]:
        return [record for record in self.of("repeat") if record.repeats == number]

    def num_by_state(self) -> dict[str, int]:
        states = [record.state for record in self.trials.values()]
        return {state: states.count(state) for state in sorted(set(states))}


def record_uri(folder: str, number: int) -> str:
    return storage.join(folder, f"{number:04d}.json")


def load_record(folder: str, number: int) -> TrialRecord:
    return TrialRecord.from_json(storage.read_json(record_uri(folder, number)))
