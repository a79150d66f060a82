"""Metrics that a tracking server has not taken yet: in the run's storage, where every machine finds them."""

import json
import uuid
from collections.abc import Sequence
from typing import NamedTuple

from rspnet_platform import storage

_SUFFIX = ".jsonl"


class MetricPoint(NamedTuple):
    """One value of one metric. Its timestamp is fixed when it is logged."""

    run_id: str
    key: str
    value: float
    timestamp_milliseconds: int
    step: int


class MetricOutbox:
    """A folder of batches, local or in an object store, where nothing can be appended to: one small file of a JSON
    object a line for each batch, named by its number and how many points it holds. One process at a time adds to it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._last_number: int | None = None

    def __len__(self) -> int:
        """How many points wait."""
        return sum(map(num_points, self.names()))

    def names(self) -> list[str]:
        """Of the batches that wait, oldest first. StorageError when the store does not answer."""
        return [name for name in storage.list_names(self.uri) if name.endswith(_SUFFIX) and not name.startswith(".")]

    def append(self, points: Sequence[MetricPoint]) -> str:
        """Adds a batch and returns its name once the storage has it. StorageError where it does not take it."""
        if self._last_number is None:
            self._last_number = max((_number(name) for name in self.names()), default=0)
        self._last_number += 1
        # Unique: a process that was believed to be dead may add one too.
        name = f"{self._last_number:010d}_{len(points)}_{uuid.uuid4().hex[:8]}{_SUFFIX}"
        storage.write_bytes(storage.join(self.uri, name), "".join(map(_line, points)).encode())
        return name

    def read(self, name: str) -> list[MetricPoint]:
        """A batch's points; none where it is gone, since it was sent. ValueError for what is no batch."""
        uri = storage.join(self.uri, name)
        try:
            return parse(storage.read_bytes(uri).decode(), uri)
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        storage.delete_file(storage.join(self.uri, name))


def num_points(name: str) -> int:
    """In the batch of that name."""
    return int(name.split("_")[1])


def parse(text: str, place: str) -> list[MetricPoint]:
    """The points of `text`, a line each. ValueError for a line that is none."""
    return [_parse_line(line, f"{place} line {number}") for number, line in enumerate(text.splitlines(), start=1)]


def _number(name: str) -> int:
    return int(name.split("_")[0])


def _parse_line(line: str, place: str) -> MetricPoint:
    try:
        return MetricPoint(**json.loads(line))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{place} is not a metric: {line[:80]!r}") from error


def _line(point: MetricPoint) -> str:
    return json.dumps(point._asdict()) + "\n"
