"""Where trials, their validation and the sweep leave each other word: an actor by name that takes no CPU."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from rspnet_platform.sweep.trial_record import Score
from rspnet_platform.train.watches import Observation, RunStoppedError


class StoppedEarlyError(RunStoppedError):
    """Others of the sweep were better at this number of samples."""

    reason = "stopped early"


@ray.remote(num_cpus=0)
class SweepBoard:
    """Validation writes scores, their trial takes them; the sweep marks a trial, its rank 0 reads that."""

    def __init__(self) -> None:
        self.scores: dict[int, list[Score]] = {}
        self.marks: dict[int, str] = {}

    def add_score(self, number: int, score: Score) -> None:
        self.scores.setdefault(number, []).append(score)

    def take_scores(self, number: int) -> list[Score]:
        return self.scores.pop(number, [])

    def mark(self, number: int, reason: str) -> None:
        self.marks[number] = reason

    def reason_to_stop(self, number: int) -> str | None:
        return self.marks.get(number)


@contextmanager
def sweep_board(name: str) -> Iterator[Any]:
    """There for the block, by its name. It lives with the sweep's driver, whose death ends it."""
    board: Any = SweepBoard.options(name=name, max_concurrency=1).remote()
    try:
        yield board
    finally:
        ray.kill(board)


@dataclass(frozen=True, kw_only=True)
class BoardListener:
    """Called in the validation task of a trial."""

    board_name: str
    number: int
    objective: str

    def on_validation(self, step: int, num_samples: int, metrics: Mapping[str, float]) -> None:
        score = score_of(step, num_samples, metrics, self.objective)
        ray.get(ray.get_actor(self.board_name).add_score.remote(self.number, score))


def score_of(step: int, num_samples: int, metrics: Mapping[str, float], objective: str) -> Score:
    random = metrics.get(random_metric(objective))
    return Score(step=step, num_samples=num_samples, objective=metrics[objective], random=random)


def random_metric(objective: str) -> str:
    """The same of a random initialisation: `validation/random_train_knn_top1`."""
    folder, _, name = objective.rpartition("/")
    return f"{folder}/random_{name}"


@dataclass(frozen=True, kw_only=True)
class BoardWatch:
    """Asked on rank 0 of a trial at each log step: a trial that the sweep has marked ends its own run, in order. (Tune
    would kill it in the middle, with what it holds of the cluster and its run in MLflow left as they are.)"""

    board_name: str
    number: int

    def look(self, step: int, metrics: Mapping[str, float]) -> Observation:  # noqa: ARG002
        reason: Any = ray.get(ray.get_actor(self.board_name).reason_to_stop.remote(self.number))
        return Observation(stop_reason=reason, error=StoppedEarlyError)
