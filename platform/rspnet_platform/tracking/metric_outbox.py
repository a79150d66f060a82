"""Metrics that a tracking server has not taken yet, one JSON object a line, oldest first."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from threading import RLock
from typing import IO, NamedTuple

from rspnet_platform.tracking.client import tracking_client

MAX_METRICS_PER_BATCH = 1000


class MetricPoint(NamedTuple):
    """One value of one metric. Its timestamp is fixed when it is logged: sent twice, it is stored once."""

    run_id: str
    key: str
    value: float
    timestamp_milliseconds: int
    step: int


class MetricOutbox:
    """A JSONL file that one process at a time writes; its threads take turns."""

    _turn = RLock()

    def __init__(self, path: Path) -> None:
        self._path = path

    def __len__(self) -> int:
        with self._turn:
            return self._path.read_bytes().count(b"\n") if self._path.exists() else 0

    def read(self) -> list[MetricPoint]:
        """All points that wait. A last line that a crash cut short is left out; others raise ValueError."""
        with self._turn:
            lines = self._path.read_text().split("\n") if self._path.exists() else [""]
        return [self._parse(number, line) for number, line in enumerate(lines[:-1], start=1)]

    def append(self, points: Sequence[MetricPoint]) -> None:
        """Adds points and waits until the disk has them."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._turn, self._path.open("a+b") as file:
            self._cut_torn_line(file)
            file.write("".join(_line(point) for point in points).encode())
            file.flush()
            os.fsync(file.fileno())

    def remove(self, points: Sequence[MetricPoint]) -> None:
        """Takes sent points out, wherever they are now, atomically; the file goes when none are left."""
        sent = set(map(_line, points))
        with self._turn:
            if not sent or not self._path.exists():
                return
            left = [line for line in map(_line, self.read()) if line not in sent]
            temporary = self._path.with_name(self._path.name + ".new")
            temporary.write_text("".join(left))
            temporary.replace(self._path)
            if not left:
                self._path.unlink()

    def _parse(self, number: int, line: str) -> MetricPoint:
        try:
            return MetricPoint(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self._path} line {number} is not a metric: {line[:80]!r}") from error

    def _cut_torn_line(self, file: IO[bytes]) -> None:
        file.seek(0)
        complete = file.read().rfind(b"\n") + 1
        file.truncate(complete)


def _line(point: MetricPoint) -> str:
    return json.dumps(point._asdict()) + "\n"


def send_outbox(tracking_uri: str, outbox: Path) -> int:
    """Sends what waits in a file, oldest first, and returns how many metrics were sent.

    Raises ConnectionError, or MLflow's exception, at the first batch that the server does not take; that one
    and all later ones stay in the file. A crash between a sent batch and the file's update sends it again,
    which SQL stores ignore: a metric with equal key, step, timestamp and value exists once.
    """
    file = MetricOutbox(outbox)
    sent: list[MetricPoint] = []
    try:
        for batch in batches(file.read()):
            send_points(tracking_uri, batch)
            sent += batch
    finally:
        file.remove(sent)
    return len(sent)


def send_waiting(tracking_uri: str, outbox: Path) -> int:
    """Sends what it can of what waits, and returns how many metrics still do: a run's last word on them."""
    with contextlib.suppress(Exception):  # whatever the reason, the count says it
        send_outbox(tracking_uri, outbox)
    return len(MetricOutbox(outbox))


def send_points(tracking_uri: str, points: Sequence[MetricPoint]) -> None:
    """Sends one batch of one run's points. Raises ConnectionError or MLflow's exception."""
    client = tracking_client(tracking_uri, num_attempts=1)
    from mlflow.entities import Metric

    metrics = [Metric(point.key, point.value, point.timestamp_milliseconds, point.step) for point in points]
    client.log_batch(points[0].run_id, metrics=metrics)


def batches(points: Sequence[MetricPoint]) -> Iterator[list[MetricPoint]]:
    """Cuts points, in order, into batches that MLflow takes: of one run each, and of bounded length."""
    for _, of_one_run in groupby(points, key=lambda point: point.run_id):
        of_one_run = list(of_one_run)
        for start in range(0, len(of_one_run), MAX_METRICS_PER_BATCH):
            yield of_one_run[start : start + MAX_METRICS_PER_BATCH]
