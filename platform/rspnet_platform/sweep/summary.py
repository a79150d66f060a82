"""What a sweep found: a row for each trial, with what its repeats with other seeds say, and which is best."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from rspnet_platform.sweep.dotted_keys import shown
from rspnet_platform.sweep.spaces import Space
from rspnet_platform.sweep.suggestions import study_of
from rspnet_platform.sweep.trial_record import TrialBook, TrialRecord


@dataclass(frozen=True, kw_only=True)
class Row:
    """`repeats` are the scores of the trial's parameters with other seeds; those that diverged or collapsed are in it
    with the worst score, and those that failed (`num_failed`) are not."""

    trial: TrialRecord
    repeats: tuple[float, ...] = ()
    num_failed: int = 0

    @property
    def repeated_mean(self) -> float | None:
        return mean(self.repeats) if self.repeats else None

    @property
    def repeated_std(self) -> float | None:
        """The sample's (n - 1); none of a single repeat."""
        return stdev(self.repeats) if len(self.repeats) > 1 else None

    @property
    def is_comparable(self) -> bool:
        """Whether training to the end has shown what the parameters are worth."""
        return self.trial.state == "finished" or bool(self.repeats)

    @property
    def random(self) -> float | None:
        """What the same encoder finds without any training."""
        return self.trial.scores[-1].random if self.trial.scores else None


def rows_of(book: TrialBook) -> list[Row]:
    """Trials of the search: those with repeats by their mean, then the others by their score, then those without."""
    rows = []
    for trial in book.of("search"):
        values = [repeat.value for repeat in book.repeats_of(trial.number)]
        scores = tuple(value for value in values if value is not None)
        rows.append(Row(trial=trial, repeats=scores, num_failed=len(values) - len(scores)))
    return sorted(rows, key=rank, reverse=True)


def rank(row: Row) -> tuple[float, ...]:
    value = -math.inf if row.trial.value is None else row.trial.value
    is_whole = float(row.trial.state == "finished")
    return (float(bool(row.repeats)), row.repeated_mean or 0.0, is_whole, value, -float(row.trial.number))


def best_trials(trials: Sequence[TrialRecord], count: int) -> list[TrialRecord]:
    """Of those that were trained to their end, by score; where these are fewer, of those that were stopped early too,
    by how far they came and then by score: a small budget has judged these, and repeats are trained whole."""
    candidates = [trial for trial in trials if trial.state in ("finished", "stopped early") and trial.scores]

    def merit(trial: TrialRecord) -> tuple[bool, int, float, int]:
        is_whole, last = trial.state == "finished", trial.scores[-1]
        return is_whole, 0 if is_whole else last.num_samples, last.objective, -trial.number

    return sorted(candidates, key=merit, reverse=True)[:count]


def columns(rows: Sequence[Row], space: Mapping[str, Space]) -> tuple[list[str], list[list[Any]]]:
    titles = ["trial", *space, "state", "samples", "score", "repeats' mean", "spread", "seeds", "failed", "random"]
    table = [
        [
            row.trial.number,
            *(row.trial.parameters[key] for key in space),
            row.trial.state,
            row.trial.scores[-1].num_samples if row.trial.scores else 0,
            row.trial.value,
            row.repeated_mean,
            row.repeated_std,
            len(row.repeats),
            row.num_failed,
            row.random,
        ]
        for row in rows
    ]
    return titles, table


def as_markdown(rows: Sequence[Row], space: Mapping[str, Space], objective: str) -> str:
    """The table, and how to read it."""
    titles, table = columns(rows, space)
    lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * len(titles)]
    lines += ["| " + " | ".join("" if cell is None else shown(cell) for cell in row) + " |" for row in table]
    return (
        "\n".join(lines)
        + f"\n\nScores are `{objective}` of the last checkpoint that was validated: videos that are trained on, looked"
        " for among each other; no test video chose anything. `repeats' mean` and `spread` (standard deviation, n - 1)"
        " are over seeds other than the one that chose the trial, whose own score is therefore too good. `random` is"
        " the same encoder before any training. What diverged or collapsed counts as 0.\n"
    )


def as_csv(rows: Sequence[Row], space: Mapping[str, Space]) -> str:
    titles, table = columns(rows, space)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([["" if cell is None else cell for cell in row] for row in table])
    return text.getvalue()


def importances(trials: Sequence[TrialRecord], space: Mapping[str, Space]) -> dict[str, float]:
    """Each parameter's share of the differences between scores, by functional analysis of variance (Hutter et al.,
    ICML 2014); {} where fewer than four trials, or none that differ, can say. Stopped ones count with the score that
    they had."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    scored = [trial for trial in trials if trial.state != "running" and trial.value is not None]
    if len(scored) < 4 or len({trial.value for trial in scored}) == 1:
        return {}
    if len(space) == 1:
        return dict.fromkeys(space, 1.0)
    shares = get_param_importances(study_of(space, scored), evaluator=FanovaImportanceEvaluator(seed=0))
    return {key: float(share) for key, share in shares.items()}
