"""Where a run's time went, by phase of its loop."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rspnet_platform.tracking.run_history import MetricCurve
from rspnet_platform.visualise.charts import Chart, draw_areas

THROUGHPUT = "throughput/clips_per_second"
PREFIX, SUFFIX = "time/", "_fraction"
OTHER = "other"
MEANINGS = {
    "step": "forward, backward and the optimizer's step",
    "data_wait": "waiting for decoded clips",
    "checkpoint": "saving checkpoints",
    "validation": "looking at a checkpoint between two steps, where no task does it beside the training",
    "report": "metrics and what watches them",
    OTHER: "what no phase covers: copies, and the loop itself",
}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """`seconds` is None where nobody knows how many clips a step has."""

    name: str
    meaning: str
    share: float
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """`phases`: the longest first. All is of the loop alone, without the start and the end of a run."""

    chart: Chart
    phases: tuple[Phase, ...]
    total_seconds: float | None


def time_spent(curves: Mapping[str, MetricCurve], clips_per_step: int | None) -> TimeSpent | None:
    """None where the run has logged no times.

    A look's shares are of the time since the look before, which its clips per second tell: shares over the whole run
    are weighted by it.
    """
    throughput = curves.get(THROUGHPUT)
    logged = {
        name.removeprefix(PREFIX).removesuffix(SUFFIX): curve
        for name, curve in curves.items()
        if name.startswith(PREFIX) and name.endswith(SUFFIX)
    }
    if throughput is None or not logged:
        return None
    is_known = np.isfinite(throughput.values) & (throughput.values > 0)
    steps = throughput.steps[is_known]
    if not len(steps):
        return None
    weights = np.diff(throughput.steps, prepend=0)[is_known] / throughput.values[is_known]
    shares = {name: _at(curve, steps) for name, curve in logged.items()}
    shares[OTHER] = np.clip(1 - sum(shares.values()), 0.0, 1.0)
    totals = {name: float((values * weights).sum() / weights.sum()) for name, values in shares.items()}
    names = sorted(shares, key=lambda name: -totals[name])
    total_seconds = None if clips_per_step is None else float(weights.sum() * clips_per_step)
    return TimeSpent(
        chart=draw_areas("Where the time went", steps, {name: shares[name] for name in names}, totals),
        phases=tuple(
            Phase(
                name=name,
                meaning=MEANINGS.get(name, ""),
                share=totals[name],
                seconds=None if total_seconds is None else totals[name] * total_seconds,
            )
            for name in names
        ),
        total_seconds=total_seconds,
    )


def _at(curve: MetricCurve, steps: np.ndarray) -> np.ndarray:
    """The values at these steps; zero where a phase has not been."""
    by_step = dict(zip(curve.steps.tolist(), curve.values.tolist(), strict=True))
    return np.nan_to_num([by_step.get(step, 0.0) for step in steps.tolist()], nan=0.0)
