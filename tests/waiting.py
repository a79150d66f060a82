"""Waits for what another thread or process does, and reads what it left in MLflow."""

import time
from collections.abc import Callable

from rspnet_platform.tracking.client import tracking_client


def wait_until(condition: Callable[[], object], what: str, *, timeout_seconds: float = 60) -> None:
    """Fails, saying `what` did not come about, after that time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def history(tracking_uri: str, run_id: str, key: str) -> list[tuple[int, float]]:
    """A metric's (step, value), by step."""
    points = tracking_client(tracking_uri).get_metric_history(run_id, key)
    return [(point.step, point.value) for point in sorted(points, key=lambda point: point.step)]
