"""What a run's training has cost so far, kept in its folder: launches that were killed are counted, too."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from rspnet_platform import storage
from rspnet_platform.train.watches import MAX_LISTING_FRACTION, Observation

FILE_NAME = "training_cost.json"


@dataclass(kw_only=True)
class CostWatch:
    """Adds up the time of the steps; steps that a resumed run takes again cost again. Writes after the last step, and
    before it as often as costs next to nothing: a kill loses no more than that."""

    uri: str
    num_steps: int
    _seconds: float | None = field(default=None, init=False)
    _next_write_seconds: float = field(default=0.0, init=False)

    def look(self, step: int, metrics: Mapping[str, float]) -> Observation:
        if self._seconds is None:
            self._seconds = training_seconds(self.uri) or 0.0
        # Validation is no part of it: where a task does it beside the training, nobody counts it either.
        self._seconds += metrics["time/interval_seconds"] * (1 - metrics.get("time/validation_fraction", 0.0))
        began = time.monotonic()
        if began >= self._next_write_seconds or step == self.num_steps:
            storage.write_json(storage.join(self.uri, FILE_NAME), {"training_seconds": self._seconds})
            ended = time.monotonic()
            self._next_write_seconds = ended + (ended - began) / MAX_LISTING_FRACTION
        return Observation()


def training_seconds(run_uri: str) -> float | None:
    """None for a run without a record of its cost: one that another job has begun."""
    uri = storage.join(run_uri, FILE_NAME)
    return storage.read_json(uri)["training_seconds"] if storage.exists(uri) else None
