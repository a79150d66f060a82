"""Where the bars of a histogram lie in a picture: plain numbers for the page's SVG."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from rspnet_platform.ingest.audit.distributions import Histogram
from rspnet_platform.ingest.audit.formats import format_number

WIDTH, HEIGHT = 400, 220
LEFT, RIGHT, TOP, BOTTOM = 4, 396, 22, 192
NUM_TICKS = 5


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A rectangle of the picture; `title` shows when a pointer rests on it."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A number below the axis; `anchor` keeps the outer ones inside the picture."""

    x: float
    label: str
    anchor: str


@dataclass(frozen=True, kw_only=True)
class HistogramChart:
    """Ready to be drawn in WIDTH by HEIGHT."""

    name: str
    summary: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    median_x: float


def draw_histogram(
    name: str, histogram: Histogram, format_value: Callable[[float], str] = format_number
) -> HistogramChart:
    """Bins are equally wide in the picture, on a logarithmic axis too."""
    edges, num_bins = histogram.edges, len(histogram.counts)
    bin_width = (RIGHT - LEFT) / num_bins
    bars = []
    for index, count in enumerate(histogram.counts):
        height = (BOTTOM - TOP) * count / histogram.highest_count
        if count:
            height = max(height, 1.5)  # a single video among thousands must be seen
        bars.append(
            Bar(
                x=round(LEFT + index * bin_width + 1, 2),
                y=round(BOTTOM - height, 2),
                width=round(bin_width - 2, 2),
                height=round(height, 2),
                title=f"{format_value(edges[index])} to {format_value(edges[index + 1])}: {count:,}",
            )
        )
    ends = f"{format_value(histogram.smallest)} to {format_value(histogram.largest)}"
    axis = ", logarithmic axis" if histogram.is_logarithmic else ""
    return HistogramChart(
        name=name,
        summary=f"{ends}, median {format_value(histogram.median)}{axis}",
        bars=tuple(bars),
        ticks=_ticks(edges, format_value),
        median_x=round(_position(histogram.median, histogram), 2),
    )


def _ticks(edges: tuple[float, ...], format_value: Callable[[float], str]) -> tuple[Tick, ...]:
    last = len(edges) - 1
    places = sorted({round(i * last / (NUM_TICKS - 1)) for i in range(NUM_TICKS)})
    anchors = {0: "start", last: "end"}
    return tuple(
        Tick(
            x=round(LEFT + place / last * (RIGHT - LEFT), 2),
            label=format_value(edges[place]),
            anchor=anchors.get(place, "middle"),
        )
        for place in places
    )


def _position(value: float, histogram: Histogram) -> float:
    first, last = histogram.edges[0], histogram.edges[-1]
    if histogram.is_logarithmic:
        first, last, value = math.log(first), math.log(last), math.log(value)
    return LEFT + (value - first) / (last - first) * (RIGHT - LEFT)
