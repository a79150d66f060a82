"""Metrics on their way to a tracking store, each of which is stored once."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import groupby

from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.earlier_outbox import adopt_earlier
from rspnet_platform.tracking.metric_outbox import MetricOutbox, MetricPoint
from rspnet_platform.tracking.stored_steps import StoredSteps

MAX_METRICS_PER_BATCH = 1000


class MetricSender:
    """Leaves out what the store has already: a metric has one value a step, the first. A run that goes on from its
    checkpoint takes some steps again, whose metrics were sent before it was ended."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._stored: dict[str, StoredSteps] = {}

    def send(self, points: Sequence[MetricPoint]) -> None:
        """Raises ConnectionError, or MLflow's exception, at the first batch that the store does not take."""
        for batch in batches(points):
            run_id = batch[0].run_id
            try:
                self._send_batch(run_id, batch)
            except BaseException:
                self._stored.pop(run_id, None)  # whether the store has it is not known
                raise

    def _send_batch(self, run_id: str, points: Sequence[MetricPoint]) -> None:
        client = tracking_client(self._tracking_uri, num_attempts=1)
        from mlflow.entities import Metric

        if run_id not in self._stored:
            self._stored[run_id] = StoredSteps(client, run_id)
        new = self._stored[run_id].take_new(points)
        if new:
            metrics = [Metric(point.key, point.value, point.timestamp_milliseconds, point.step) for point in new]
            client.log_batch(run_id, metrics=metrics)


def send_waiting(tracking_uri: str, run_id: str, outbox_uri: str) -> int:
    """Sends what it can of what waits in an outbox that nobody adds to now, oldest first, and returns how many metrics
    still do: a run's last word on them. StorageError when the outbox cannot be looked at."""
    outbox, sender = MetricOutbox(outbox_uri), MetricSender(tracking_uri)
    adopt_earlier(outbox, run_id)
    with contextlib.suppress(Exception):  # whatever the reason, the count says it
        for name in outbox.names():
            sender.send(outbox.read(name))
            outbox.remove(name)
    return len(outbox)


def batches(points: Sequence[MetricPoint]) -> Iterator[list[MetricPoint]]:
    """Cuts points, in order, into batches that MLflow takes: of one run each, and of bounded length."""
    for _, of_one_run in groupby(points, key=lambda point: point.run_id):
        of_one_run = list(of_one_run)
        for start in range(0, len(of_one_run), MAX_METRICS_PER_BATCH):
            yield of_one_run[start : start + MAX_METRICS_PER_BATCH]
