"""Metrics of a training loop: logged without waiting, and not lost when the tracking server is away."""

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Lock, Thread

from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.metric_outbox import (
    MetricOutbox,
    MetricPoint,
    batches,
    send_outbox,
    send_points,
)
from rspnet_platform.tracking.redaction import redact

_LOGGER = logging.getLogger(__name__)
_METRIC_NAME = re.compile(r"[\w\-. :/]{1,250}")
MAX_POINTS_IN_MEMORY = 200_000


class MetricWriter:
    """Sends metrics from a background thread every `flush_seconds`, in the order of `log`.

    What the server does not take goes to the file `outbox` and is sent before anything newer once the server
    is back, by this writer or by a later one with the same outbox. Without an outbox it waits in memory, up
    to `MAX_POINTS_IN_MEMORY` values. A process that is killed loses what it logged in the last
    `flush_seconds`; one process at a time may use an outbox.
    """

    def __init__(self, tracking_uri: str, run_id: str, outbox: Path | None, flush_seconds: float = 5.0) -> None:
        if flush_seconds <= 0:
            raise ValueError(f"flush_seconds is {flush_seconds}; accepted are numbers above 0")
        self._tracking_uri = tracking_uri
        self._run_id = run_id
        self._outbox = None if outbox is None else MetricOutbox(outbox)
        self._outbox_path = outbox
        self._flush_seconds = flush_seconds
        self._lock = Lock()
        self._pending: list[MetricPoint] = []
        self._in_flight: list[MetricPoint] = []
        self._num_on_disk = 0 if self._outbox is None else len(self._outbox)
        self._num_dropped = 0
        self._is_away = False
        self._is_abandoned = False
        self._stop = Event()
        self._thread = Thread(target=self._run, name="metric-writer", daemon=True)
        self._thread.start()

    @property
    def num_unsent(self) -> int:
        """Values that the server does not have yet, those of earlier writers in the outbox included."""
        with self._lock:
            return len(self._pending) + len(self._in_flight) + self._num_on_disk + self._num_dropped

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Notes values and returns at once. Raises ValueError for a name that MLflow would refuse."""
        for name in metrics:
            if not _METRIC_NAME.fullmatch(name) or name.startswith("/"):
                raise ValueError(f"metric {name!r}, step {step}; accepted: 1 to 250 letters, digits and '_-. :/'")
        now = int(time.time() * 1000)
        points = [MetricPoint(self._run_id, name, float(value), now, step) for name, value in metrics.items()]
        if self._stop.is_set():
            raise ValueError(f"metrics of step {step} come after close()")
        with self._lock:
            self._pending += points

    def close(self, timeout_seconds: float = 15.0) -> int:
        """Sends what is left, for no longer than the timeout, and returns how many values remain unsent."""
        self._stop.set()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            with self._lock:
                self._is_abandoned = True
                self._keep(self._in_flight + self._pending)
        return self.num_unsent

    def _run(self) -> None:
        is_last = False
        while not is_last and not self._is_abandoned:
            is_last = self._stop.wait(self._flush_seconds)
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            self._in_flight, self._pending = self._pending, []
        try:
            if self._in_flight or self._num_on_disk:
                self._send()
                self._note_return()
        # Whatever is wrong with the server, training goes on; the values are kept and counted.
        except Exception as error:
            with self._lock:
                if not self._is_abandoned:
                    self._keep(self._in_flight + self._pending)
            self._note_absence(error)

    def _send(self) -> None:
        check_reachable(self._tracking_uri, num_attempts=1)
        if self._num_on_disk and self._outbox_path is not None:
            try:
                send_outbox(self._tracking_uri, self._outbox_path)
            finally:
                self._count_outbox()
        for batch in batches(self._in_flight):
            send_points(self._tracking_uri, batch)
            with self._lock:
                if self._is_abandoned:
                    return
                self._in_flight = self._in_flight[len(batch) :]

    def _keep(self, points: list[MetricPoint]) -> None:
        """Puts unsent values where they are safe; the caller holds the lock."""
        self._in_flight, self._pending = [], []
        if self._outbox is None:
            self._pending = points[-MAX_POINTS_IN_MEMORY:]
            self._num_dropped += len(points) - len(self._pending)
            return
        try:
            self._outbox.append(points)
            self._num_on_disk = len(self._outbox)
        except OSError as error:
            self._pending = points
            _LOGGER.error("cannot keep %d metrics in %s: %s", len(points), self._outbox_path, error)

    def _count_outbox(self) -> None:
        with self._lock:
            self._num_on_disk = 0 if self._outbox is None else len(self._outbox)

    def _note_absence(self, error: Exception) -> None:
        if not self._is_away:
            place = self._outbox_path or "memory"
            _LOGGER.warning("metrics are kept in %s until they can be sent: %s", place, redact(str(error)))
        self._is_away = True

    def _note_return(self) -> None:
        if self._is_away:
            _LOGGER.warning("the tracking store %s is back; all metrics are sent", redact(self._tracking_uri))
        self._is_away = False
