"""Where the time goes, by name: stall and throughput follow from it."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")


class PhaseTimers:
    """Sums seconds by phase since the last `take`. Phases do not overlap; what no phase covers is "other"."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._began = time.perf_counter()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - began
            self._counts[name] = self._counts.get(name, 0) + 1

    def each(self, name: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items, with the time until each arrives counted under `name`."""
        iterator = iter(items)
        while True:
            with self.phase(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def take(self) -> "PhaseTimes":
        """What was measured since the last call, and starts anew."""
        now = time.perf_counter()
        times = PhaseTimes(elapsed_seconds=now - self._began, seconds=self._seconds, counts=self._counts)
        self._seconds, self._counts, self._began = {}, {}, now
        return times


@dataclass(frozen=True, kw_only=True)
class PhaseTimes:
    """Seconds and number of times by phase."""

    elapsed_seconds: float
    seconds: dict[str, float]
    counts: dict[str, int]

    @property
    def fractions(self) -> dict[str, float]:
        """Each phase's share of the elapsed time."""
        return {name: seconds / max(self.elapsed_seconds, 1e-9) for name, seconds in self.seconds.items()}
