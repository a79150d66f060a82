"""Validations in the run's MLflow record."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from rspnet_platform.command_line import say
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.metric_writer import MetricWriter

COLLAPSE_TAG = "collapse"


@dataclass(frozen=True, kw_only=True)
class ValidationTracking:
    """`outbox` keeps what the server does not take: one of its own, since rank 0 writes to the run's other one."""

    tracking_uri: str
    run_id: str
    outbox: str

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        writer = MetricWriter(self.tracking_uri, self.run_id, self.outbox)
        try:
            writer.log(step, metrics)
        finally:
            writer.close()

    def warn(self, step: int, warning: str) -> None:
        """On standard error, and as the run's tag."""
        say(f"WARNING: at step {step} {warning}")
        with contextlib.suppress(Exception):  # the tracking server may be away; it has been said
            runs.set_tags(self.tracking_uri, self.run_id, {COLLAPSE_TAG: f"step {step}: {warning}"})
