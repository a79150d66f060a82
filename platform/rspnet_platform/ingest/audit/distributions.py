"""How values are spread: histograms of numbers and tallies of kinds, small whatever the data set's size."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MAX_BINS = 24
LARGEST_KIND_COUNT = 10
# From which ratio of the largest to the smallest value on a linear axis would show one bar.
_LOGARITHMIC_FROM_RATIO = 50.0


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """`counts[i]` values lie in [edges[i], edges[i + 1]); the last bin holds its upper edge too."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    smallest: float
    median: float
    largest: float
    is_logarithmic: bool

    @property
    def highest_count(self) -> int:
        return max(self.counts)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A value and how often it occurs; `fraction` is of all values."""

    name: str
    count: int
    fraction: float


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The most frequent kinds; `num_other_values` are of the `num_other_kinds` that are left."""

    kinds: tuple[Kind, ...]
    num_kinds: int
    num_other_kinds: int
    num_other_values: int


def histogram(values: np.ndarray) -> Histogram:
    """Of one or more finite numbers. The axis is logarithmic where positive values span a ratio of 50 and more."""
    smallest, largest = float(values.min()), float(values.max())
    is_logarithmic = smallest > 0 and largest / smallest >= _LOGARITHMIC_FROM_RATIO
    edges = _logarithmic_edges(smallest, largest) if is_logarithmic else _round_edges(smallest, largest)
    counts, _ = np.histogram(values, bins=np.array(edges))
    return Histogram(
        edges=tuple(edges),
        counts=tuple(counts.tolist()),
        smallest=smallest,
        median=float(np.median(values)),
        largest=largest,
        is_logarithmic=is_logarithmic,
    )


def _round_edges(smallest: float, largest: float) -> list[float]:
    """At most MAX_BINS bins of a width that people count in: 1, 2 or 5 times a power of ten."""
    span = max(largest - smallest, abs(largest) * 1e-3, 1e-3)
    power = 10.0 ** math.floor(math.log10(span / MAX_BINS))
    width = next(step * power for step in (1, 2, 5, 10, 20) if span / (step * power) <= MAX_BINS - 1)
    first = math.floor(smallest / width)
    last = max(math.ceil(largest / width), first + 1)
    return [round(index * width, 12) for index in range(first, last + 1)]


def _logarithmic_edges(smallest: float, largest: float) -> list[float]:
    edges = np.geomspace(smallest, largest, MAX_BINS + 1)
    edges[0], edges[-1] = smallest, largest
    return edges.tolist()


def tally(values: Iterable[str], largest_kind_count: int = LARGEST_KIND_COUNT) -> Tally:
    """The most frequent kinds first, equals by name."""
    counts = Counter(values)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    total = sum(counts.values())
    shown, others = ordered[:largest_kind_count], ordered[largest_kind_count:]
    return Tally(
        kinds=tuple(Kind(name=name, count=count, fraction=count / total) for name, count in shown),
        num_kinds=len(ordered),
        num_other_kinds=len(others),
        num_other_values=sum(count for _, count in others),
    )
