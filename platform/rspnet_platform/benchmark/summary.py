"""Mean and spread over seeds, beside random initialisation: the numbers of a benchmark's table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rspnet_platform.benchmark.benchmark_config import RANDOM
from rspnet_platform.benchmark.encoder_scores import EncoderScores
from rspnet_platform.inference.frozen_evaluation_scores import DRAW_STD

Column = tuple[str, str]
"""A protocol and one of its numbers."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of one row: `values` over seeds. `is_above_random`: the lowest is above the highest of the random
    initialisations of its kind; None for these themselves, and where there are too few seeds to say."""

    values: tuple[float, ...]
    is_above_random: bool | None

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def std(self) -> float | None:
        """Of the sample (n - 1); None for one seed."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else None

    @property
    def text(self) -> str:
        """In percent."""
        spread = "" if self.std is None else f" ± {100 * self.std:.1f}"
        return f"{100 * self.mean:.1f}{spread}{' *' if self.is_above_random else ''}"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one run of a recipe, the mean over those whose cost is known. `num_clips` are those trained on."""

    num_steps: int
    num_clips: int
    training_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe, or random initialisation of one kind of encoder; `cost` is None for the latter."""

    name: str
    encoder: str
    num_seeds: int
    cells: Mapping[Column, Cell]
    cost: Cost | None

    @property
    def is_random(self) -> bool:
        return self.cost is None


def summarise(
    scores: Sequence[EncoderScores], random_row_of: Mapping[str, str], costs: Mapping[str, Cost]
) -> list[Row]:
    """Rows in the order of the scores. `random_row_of` names each recipe's random initialisations."""
    by_row: dict[str, list[EncoderScores]] = {}
    for each in scores:
        by_row.setdefault(each.row, []).append(each)
    return [
        Row(
            name=name,
            encoder=of_row[0].encoder,
            num_seeds=len(of_row),
            cells={
                column: cell(of_row, by_row.get(random_row_of.get(name, RANDOM)), column) for column in columns(of_row)
            },
            cost=costs.get(name),
        )
        for name, of_row in by_row.items()
    ]


def columns(scores: Sequence[EncoderScores]) -> list[Column]:
    """Every number that all of them have; deviations over draws of labels stand in the CSV alone."""
    first = [
        (protocol, name)
        for protocol, numbers in scores[0].numbers.items()
        for name in numbers
        if not name.endswith(DRAW_STD)
    ]
    return [(protocol, name) for protocol, name in first if all(name in of.numbers[protocol] for of in scores)]


def cell(of_row: Sequence[EncoderScores], random: Sequence[EncoderScores] | None, column: Column) -> Cell:
    """One seed alone is above nothing: with three random initialisations that is chance one time in four."""
    values = values_of(of_row, column)
    if random is None or min(len(of_row), len(random)) < 2:
        return Cell(values=values, is_above_random=None)
    return Cell(values=values, is_above_random=min(values) > max(values_of(random, column)))


def values_of(scores: Sequence[EncoderScores], column: Column) -> tuple[float, ...]:
    protocol, name = column
    return tuple(of.numbers[protocol][name] for of in scores)


def headlines(rows: Sequence[Row]) -> list[Column]:
    """The first number of each protocol."""
    first: dict[str, Column] = {}
    for column in rows[0].cells:
        first.setdefault(column[0], column)
    return list(first.values())
