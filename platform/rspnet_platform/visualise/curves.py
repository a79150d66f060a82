"""The curves of a run, out of MLflow: what was learnt, how fast, and where the time went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.tracking.run_history import MetricCurve, read_run_history
from rspnet_platform.visualise.charts import Chart, draw_lines
from rspnet_platform.visualise.page_shell import Section, render_fragment, render_shell
from rspnet_platform.visualise.part_configs import CurvesConfig
from rspnet_platform.visualise.recorded_run import read_recorded_run
from rspnet_platform.visualise.time_spent import PREFIX, THROUGHPUT, TimeSpent, time_spent

PAGE_NAME = "curves.html"
UNDRAWN = ("train/epoch",)
DAMAGED = "data/num_damaged_videos"
"""Drawn where there are any."""
TITLES = {
    "train/learning_rate": "Learning rate",
    "train/feature_std": "Spread of features",
    THROUGHPUT: "Throughput",
    DAMAGED: DAMAGED,
}
UNITS = {"Throughput": "clips a second", "Spread of features": "standard deviation; near 0 all videos look alike"}
MAX_LINES = 6
"""Of a chart: nobody tells more apart."""


@dataclass(frozen=True, kw_only=True)
class Curves:
    """`last`: of every metric its last value and the step of it, single numbers too."""

    charts: Sequence[Chart]
    time: TimeSpent | None
    last: Sequence[tuple[str, float, int]]
    num_repeated: int

    @property
    def num_not_finite(self) -> int:
        return sum(line.num_not_finite for chart in self.charts for line in chart.lines)


def draw_curves(config: CurvesConfig) -> dict[str, Any]:
    """Writes the page and returns what is on it. Raises ConnectionError where the tracking store does not answer."""
    run = read_recorded_run(config.run, config.tracking)
    history = read_run_history(run.tracking_uri, run.mlflow_run_id)
    curves = curves_of(history.curves, run.clips_per_step)
    output = storage.resolve_uri(config.output or run.uri)
    section = Section(name="curves", title="Curves", content=render_curves(curves))
    content = render_shell(overline="Curves of a run", title=history.name, sections=[section])
    storage.write_bytes(storage.join(output, PAGE_NAME), content.encode())
    say(f"look at it: {storage.join(output, PAGE_NAME)}")
    return {
        "part": "curves",
        "run": run.uri,
        "output": output,
        "files": [PAGE_NAME],
        "charts": [chart.title for chart in curves.charts],
        "num_repeated": curves.num_repeated,
        "num_not_finite": curves.num_not_finite,
        "last_values": {name: value for name, value, _ in curves.last},
    }


def curves_of(curves: Mapping[str, MetricCurve], clips_per_step: int | None) -> Curves:
    return Curves(
        charts=[chart for title, names in chart_groups(curves).items() for chart in _charts(title, names, curves)],
        time=time_spent(curves, clips_per_step),
        last=[(name, float(curve.values[-1]), int(curve.steps[-1])) for name, curve in sorted(curves.items())],
        num_repeated=num_steps_trained_again(curves),
    )


def num_steps_trained_again(curves: Mapping[str, MetricCurve]) -> int:
    """Of those that were logged. The loop alone logs `train/...`; a run's end logs others at the last step again."""
    return max((curve.num_repeated for name, curve in curves.items() if name.startswith("train/")), default=0)


def chart_groups(curves: Mapping[str, MetricCurve]) -> dict[str, list[str]]:
    """Which metrics of two steps or more share a chart, by its title: what has one unit and is read together."""
    groups: dict[str, list[str]] = {}
    for name, curve in curves.items():
        if len(curve.steps) > 1 and not name.startswith(PREFIX) and name not in UNDRAWN:
            groups.setdefault(chart_title(name), []).append(name)
    if groups.get(DAMAGED) and not curves[DAMAGED].values.any():
        del groups[DAMAGED]
    return dict(sorted(groups.items(), key=lambda item: place_of(item[0])))


def chart_title(name: str) -> str:
    """The metric's own name for what no other is drawn with."""
    area, *middle, last = name.split("/")
    if area == "train" and last == "loss":
        return f"Loss of {' '.join(middle).replace('_', ' ')}" if middle else "Loss"
    if is_share(name):
        return "Accuracy in training" if area == "train" else "Accuracy in validation"
    return TITLES.get(name, name)


def place_of(title: str) -> tuple[int, str]:
    """What a person looks at first comes first."""
    order = ("Loss", "Loss of ", "Accuracy", "Spread of features", "validation/", "Learning rate", "Throughput")
    exact = [
        place for place, start in enumerate(order) if title == start or (start != "Loss" and title.startswith(start))
    ]
    return (exact[0] if exact else len(order)), title


def is_share(name: str) -> bool:
    """Metrics from 0 to 1 that are read in percent."""
    last = name.rpartition("/")[2]
    return "accuracy" in last or "top1" in last or "top5" in last


def _charts(title: str, names: Sequence[str], curves: Mapping[str, MetricCurve]) -> list[Chart]:
    parts = [names[first : first + MAX_LINES] for first in range(0, len(names), MAX_LINES)]
    return [_chart(title, part, curves) for part in parts]


def _chart(title: str, names: Sequence[str], curves: Mapping[str, MetricCurve]) -> Chart:
    shown = {short_name(name): curves[name] for name in names}
    if is_share(names[0]):
        return draw_lines(title, shown, unit="%", format_value=lambda value: f"{value:.0%}", holds_zero=True)
    if title == "Learning rate":
        return draw_lines(title, shown, unit="as set, not smoothed", window_fraction=0.0)
    return draw_lines(title, shown, unit=UNITS.get(title, ""), holds_zero=title in UNITS)


def short_name(name: str) -> str:
    """Without what the chart's title says."""
    return name.partition("/")[2].removesuffix("/loss") or name


def render_curves(curves: Curves) -> Markup:
    return render_fragment("curves.html.jinja", curves=curves)
