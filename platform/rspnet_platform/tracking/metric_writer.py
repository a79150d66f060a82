"""Metrics of a training loop: logged without waiting, and not lost when the tracking server is away."""

import logging
import re
import time
from collections.abc import Mapping
from threading import Event, Lock, Thread

from rspnet_platform import storage
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.earlier_outbox import adopt_earlier
from rspnet_platform.tracking.metric_outbox import MetricOutbox, MetricPoint, num_points
from rspnet_platform.tracking.metric_sender import MetricSender, batches
from rspnet_platform.tracking.redaction import redact

_LOGGER = logging.getLogger(__name__)
_METRIC_NAME = re.compile(r"[\w\-. :/]{1,250}")
MAX_POINTS_IN_MEMORY = 200_000


class MetricWriter:
    """Sends metrics from a background thread every `flush_seconds`, in the order of `log`.

    What the server has not taken by `persist` or `close` goes to the `outbox`, a folder in the run's storage, and is
    sent from there, by this writer or by a later one on any machine. A process that is killed loses what it logged
    since the last `persist`. Without an outbox `MAX_POINTS_IN_MEMORY` values wait in memory. One process at a time may
    use an outbox.
    """

    def __init__(self, tracking_uri: str, run_id: str, outbox: str | None, flush_seconds: float = 5.0) -> None:
        """Raises StorageError for an outbox that cannot be read."""
        if flush_seconds <= 0:
            raise ValueError(f"flush_seconds is {flush_seconds}; accepted are numbers above 0")
        self._tracking_uri = tracking_uri
        self._run_id = run_id
        self._sender = MetricSender(tracking_uri)
        self._outbox = None if outbox is None else MetricOutbox(outbox)
        self._flush_seconds = flush_seconds
        self._lock = Lock()
        self._pending: list[MetricPoint] = []
        self._num_takings = 0
        self._stored = [] if self._outbox is None else _what_waits(self._outbox, run_id)
        self._num_dropped = 0
        self._is_away = False
        self._is_closed = False
        self._stop = Event()
        self._thread = Thread(target=self._run, name="metric-writer", daemon=True)
        self._thread.start()

    @property
    def num_unsent(self) -> int:
        """Values that the server does not have yet, those of earlier writers in the outbox included."""
        with self._lock:
            return len(self._pending) + sum(map(num_points, self._stored)) + self._num_dropped

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

    def persist(self) -> None:
        """Returns once the server or the outbox has all that was logged. StorageError when the outbox cannot be
        written to."""
        with self._lock:
            if self._pending and self._outbox is not None:
                self._stored.append(self._outbox.append(self._pending))
                self._take(len(self._pending))

    def close(self, timeout_seconds: float = 15.0, *, persists: bool = True) -> int:
        """Sends what is left, for no longer than the timeout, and returns how many values remain unsent. They are
        in the outbox, unless that cannot be written to, which is said, or is not to be (`persists`)."""
        self._stop.set()
        self._thread.join(timeout_seconds)
        self._is_closed = True
        if persists:
            try:
                self.persist()
            except storage.StorageError as error:
                _LOGGER.error("%d metrics are lost: %s", len(self._pending), error)
        return self.num_unsent

    def _run(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stop.wait(self._flush_seconds)
            self._flush()

    def _flush(self) -> None:
        if not self.num_unsent:
            return
        try:
            check_reachable(self._tracking_uri, num_attempts=1)
            self._send_stored()
            self._send_pending()
            self._note_return()
        # Whatever is wrong with the server, training goes on; the values are kept and counted.
        except Exception as error:
            self._note_absence(error)
            self._bound_memory()

    def _send_stored(self) -> None:
        while self._outbox is not None and self._stored and not self._is_closed:
            name = self._stored[0]  # others are added after it
            self._sender.send(self._outbox.read(name))
            self._outbox.remove(name)
            with self._lock:
                self._stored.remove(name)

    def _send_pending(self) -> None:
        with self._lock:
            points, num_takings = list(self._pending), self._num_takings
        for batch in batches(points):
            self._sender.send(batch)
            with self._lock:
                if self._is_closed or self._num_takings != num_takings:
                    return  # it is in the outbox too, and sent from there
                del self._pending[: len(batch)]

    def _take(self, num_points: int) -> None:
        """The oldest, out of memory; the caller holds the lock."""
        del self._pending[:num_points]
        self._num_takings += 1

    def _bound_memory(self) -> None:
        if len(self._pending) <= MAX_POINTS_IN_MEMORY:
            return
        try:
            self.persist()
        except storage.StorageError as error:
            _LOGGER.error("cannot keep %d metrics: %s", len(self._pending), error)
        with self._lock:
            num_too_many = max(0, len(self._pending) - MAX_POINTS_IN_MEMORY)
            self._take(num_too_many)
            self._num_dropped += num_too_many

    def _note_absence(self, error: Exception) -> None:
        if not self._is_away:
            place = "memory" if self._outbox is None else self._outbox.uri
            _LOGGER.warning("metrics are kept in %s until they can be sent: %s", place, redact(str(error)))
        self._is_away = True

    def _note_return(self) -> None:
        if self._is_away:
            _LOGGER.warning("the tracking store %s is back; all metrics are sent", redact(self._tracking_uri))
        self._is_away = False


def _what_waits(outbox: MetricOutbox, run_id: str) -> list[str]:
    storage.delete_partial_files(outbox.uri)
    adopt_earlier(outbox, run_id)
    return outbox.names()
