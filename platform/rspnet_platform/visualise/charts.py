"""Where the lines and areas of a chart lie: plain numbers for the pages' SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from rspnet_platform.ingest.audit.formats import format_number
from rspnet_platform.tracking.run_history import MetricCurve

WIDTH, HEIGHT = 460, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 452, 10, 206
MAX_POINTS = 400
"""Of a line: there are no more columns of pixels. Of more values the smallest and largest of each part are drawn."""
WINDOW_FRACTION = 0.05
FormatValue = Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """`place`: the x or the y of a number beside an axis."""

    place: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """`raw` and `smooth` are the points of SVG polylines; `last`: where the smoothed line ends, in words."""

    name: str
    raw: str
    smooth: str
    last: str
    num_not_finite: int


@dataclass(frozen=True, kw_only=True)
class Area:
    """The points of an SVG polygon; `share` of the whole, over all."""

    name: str
    polygon: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Ready to be drawn in WIDTH by HEIGHT: lines, or areas that lie on each other."""

    title: str
    unit: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line] = ()
    areas: Sequence[Area] = ()


@dataclass(frozen=True, kw_only=True)
class Axes:
    """From values to places in the picture, linearly."""

    x: tuple[float, float]
    y: tuple[float, float]

    def points(self, x: np.ndarray, y: np.ndarray) -> str:
        across = LEFT + (x - self.x[0]) / (self.x[1] - self.x[0]) * (RIGHT - LEFT)
        down = BOTTOM - (y - self.y[0]) / (self.y[1] - self.y[0]) * (BOTTOM - TOP)
        return " ".join(f"{a:.1f},{d:.1f}" for a, d in zip(across.tolist(), down.tolist(), strict=True))

    def x_ticks(self) -> list[Tick]:
        scale = (RIGHT - LEFT) / (self.x[1] - self.x[0])
        return [
            Tick(place=LEFT + (value - self.x[0]) * scale, label=f"{value:,.0f}")
            for value in inner_ticks(*self.x, integer=True)
        ]

    def y_ticks(self, format_value: FormatValue) -> list[Tick]:
        scale = (BOTTOM - TOP) / (self.y[1] - self.y[0])
        return [
            Tick(place=BOTTOM - (value - self.y[0]) * scale, label=format_value(value))
            for value in inner_ticks(*self.y)
        ]


def draw_lines(
    title: str,
    curves: Mapping[str, MetricCurve],
    *,
    unit: str = "",
    format_value: FormatValue = format_number,
    holds_zero: bool = False,
    window_fraction: float = WINDOW_FRACTION,
) -> Chart:
    """From step 0 on, each value as a pale line, smoothed over it. `holds_zero`: the axis of values does. Values that
    are not finite are left out, and counted."""
    finite = {name: _finite(curve) for name, curve in curves.items()}
    steps = np.concatenate([curve.steps for curve in finite.values()] or [np.zeros(0)])
    values = np.concatenate([curve.values for curve in finite.values()] or [np.zeros(0)])
    axes = Axes(x=_range(np.append(steps, 0)), y=_range(np.append(values, 0.0) if holds_zero else values, margin=0.06))
    return Chart(
        title=title,
        unit=unit,
        x_ticks=axes.x_ticks(),
        y_ticks=axes.y_ticks(format_value),
        lines=[
            _line(name, curve, axes, format_value, len(curves[name].steps) - len(curve.steps), window_fraction)
            for name, curve in finite.items()
        ],
    )


def draw_areas(title: str, steps: np.ndarray, shares: Mapping[str, np.ndarray], totals: Mapping[str, float]) -> Chart:
    """Shares of a whole over the steps, the first at the bottom; means of MAX_POINTS parts where there are more."""
    axes = Axes(x=_range(np.append(steps, 0)), y=(0.0, 1.0))
    parts = np.array_split(np.arange(len(steps)), min(len(steps), MAX_POINTS))
    x = np.array([steps[part].mean() for part in parts])
    floor, areas = np.zeros(len(parts)), []
    for name, values in shares.items():
        top = np.minimum(floor + [values[part].mean() for part in parts], 1.0)
        polygon = f"{axes.points(x, top)} {axes.points(x[::-1], floor[::-1])}"
        areas.append(Area(name=name, polygon=polygon, share=totals[name]))
        floor = top
    return Chart(
        title=title,
        unit="share of the time",
        x_ticks=axes.x_ticks(),
        y_ticks=axes.y_ticks(lambda value: f"{value:.0%}"),
        areas=areas,
    )


def smoothed(values: np.ndarray, fraction: float = WINDOW_FRACTION) -> np.ndarray:
    """The mean of each value and its neighbours: as many on either side, half of `fraction` of all in number, and fewer
    towards the ends. It lags behind nothing."""
    half = round(len(values) * fraction / 2)
    places = np.arange(len(values))
    reach = np.minimum(half, np.minimum(places, len(values) - 1 - places))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[places + reach + 1] - sums[places - reach]) / (2 * reach + 1)


def extremes(curve: MetricCurve, max_points: int = MAX_POINTS) -> MetricCurve:
    """At most `max_points` of the values, so that peaks stay: the smallest and the largest of each part."""
    if len(curve.steps) <= max_points:
        return curve
    kept: list[int] = []
    for part in np.array_split(np.arange(len(curve.steps)), max_points // 2):
        kept += sorted({int(part[curve.values[part].argmin()]), int(part[curve.values[part].argmax()])})
    return MetricCurve(steps=curve.steps[kept], values=curve.values[kept])


def inner_ticks(low: float, high: float, *, integer: bool = False) -> list[float]:
    """Round numbers between both."""
    found = MaxNLocator(nbins=5, integer=integer).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(value) + 0.0 for value in found if low - slack <= value <= high + slack]


def _line(
    name: str, curve: MetricCurve, axes: Axes, format_value: FormatValue, num_not_finite: int, window_fraction: float
) -> Line:
    raw = extremes(curve)
    even = np.unique(np.linspace(0, len(curve.steps) - 1, min(len(curve.steps), MAX_POINTS)).round().astype(int))
    smooth = smoothed(curve.values, window_fraction)
    return Line(
        name=name,
        raw=axes.points(raw.steps, raw.values),
        smooth=axes.points(curve.steps[even], smooth[even]),
        last=format_value(float(smooth[-1])) if len(smooth) else "no finite value",
        num_not_finite=num_not_finite,
    )


def _finite(curve: MetricCurve) -> MetricCurve:
    kept = np.isfinite(curve.values)
    return MetricCurve(steps=curve.steps[kept], values=curve.values[kept])


def _range(values: np.ndarray, margin: float = 0.0) -> tuple[float, float]:
    """From the smallest to the largest; never empty."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    if high == low:
        half = abs(low) / 2 or 0.5
        return low - half, high + half
    return low - margin * (high - low), high + margin * (high - low)
