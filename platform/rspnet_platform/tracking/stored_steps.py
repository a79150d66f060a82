"""Which steps of a run's metrics a tracking store has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rspnet_platform.tracking.metric_outbox import MetricPoint

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(kw_only=True)
class _StoredMetric:
    """Its `latest` step, and its `steps` from `first` to `last` as they were read."""

    first: int
    last: int
    steps: set[int]
    latest: int


class StoredSteps:
    """Asks the store for a metric's history when its first point comes, and again only where a step is neither after
    all others nor among those that were read. Holds the steps that a resumed run takes again, and not all."""

    def __init__(self, client: "MlflowClient", run_id: str) -> None:
        """Raises ConnectionError or MLflow's exception, as `take_new` does."""
        self._client, self._run_id = client, run_id
        self._keys = set(client.get_run(run_id).data.metrics)
        self._metrics: dict[str, _StoredMetric] = {}

    def take_new(self, points: Sequence[MetricPoint]) -> list[MetricPoint]:
        """Those that the store lacks, in order and each once; from now on they count as stored."""
        new: dict[tuple[str, int], MetricPoint] = {}
        for point in points:
            place = (point.key, point.step)
            if place not in new and self._is_new(*place):
                new[place] = point
        return list(new.values())

    def _is_new(self, key: str, step: int) -> bool:
        metric = self._metrics.get(key)
        if metric is None or (step <= metric.latest and not metric.first <= step <= metric.last):
            metric = self._metrics[key] = self._read(key, step, metric.latest if metric else -1)
        is_new = step not in metric.steps
        if step <= metric.last:
            metric.steps.add(step)
        metric.latest = max(metric.latest, step)
        return is_new

    def _read(self, key: str, first: int, latest: int) -> _StoredMetric:
        history = self._client.get_metric_history(self._run_id, key) if key in self._keys or latest >= 0 else []
        last = max((point.step for point in history), default=first - 1)
        steps = {point.step for point in history if point.step >= first}
        return _StoredMetric(first=first, last=last, steps=steps, latest=max(last, latest))
