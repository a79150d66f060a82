"""How far numbers of several seeds lie apart."""

from collections.abc import Sequence
from statistics import stdev


def sample_deviation(values: Sequence[float]) -> float | None:
    """The sample's standard deviation (n - 1). None of a single value: nobody knows its spread."""
    return stdev(values) if len(values) > 1 else None
