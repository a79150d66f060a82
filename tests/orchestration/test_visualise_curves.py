"""What a curve shows: smoothing, peaks, which metrics share a chart, and where the time went, by hand."""

import re

import numpy as np
import pytest
from rspnet_platform.tracking.run_history import MetricCurve
from rspnet_platform.visualise.charts import BOTTOM, LEFT, MAX_POINTS, RIGHT, TOP, draw_lines, extremes, smoothed
from rspnet_platform.visualise.curves import chart_groups, curves_of, render_curves
from rspnet_platform.visualise.time_spent import time_spent


def curve(values: list[float], every: int = 1) -> MetricCurve:
    """Logged at the steps `every`, 2 `every`, ..."""
    return MetricCurve(steps=np.arange(1, len(values) + 1) * every, values=np.array(values))


def test_smoothing_is_the_mean_of_a_window_that_lags_behind_nothing():
    """Of ten values a fraction of 0.2 takes one neighbour on each side, and none at both ends."""
    values = np.array([0.0, 3.0, 6.0, 0.0, 0.0, 9.0, 0.0, 0.0, 3.0, 1.0])
    expected = [0.0, 3.0, 3.0, 2.0, 3.0, 3.0, 3.0, 1.0, 4 / 3, 1.0]
    np.testing.assert_allclose(smoothed(values, 0.2), expected)
    np.testing.assert_allclose(smoothed(values, 0.0), values)
    line = np.arange(50.0)
    np.testing.assert_allclose(smoothed(line, 0.3), line)
    assert smoothed(np.array([5.0])).tolist() == [5.0]


def test_peaks_of_many_values_are_drawn():
    """The one largest and the one smallest of ten thousand."""
    values = np.zeros(10_000)
    values[[3456, 7890]] = 8.0, -5.0
    drawn = extremes(MetricCurve(steps=np.arange(10_000), values=values))
    assert len(drawn.steps) <= MAX_POINTS
    assert drawn.steps[drawn.values.argmax()] == 3456
    assert drawn.steps[drawn.values.argmin()] == 7890
    assert (np.diff(drawn.steps) > 0).all()


def places(points: str) -> list[tuple[float, float]]:
    """Of an SVG polyline."""
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]


def test_a_line_lies_where_its_values_do():
    """From step 0 at the left edge to the last at the right; 0 at the bottom, with a little air above the largest."""
    chart = draw_lines("Loss", {"loss": curve([4.0, 2.0], every=50)}, holds_zero=True, window_fraction=0.0)
    (x1, y1), (x2, y2) = places(chart.lines[0].raw)
    assert (x1, x2) == (pytest.approx((LEFT + RIGHT) / 2), RIGHT)
    height = BOTTOM - TOP
    assert y1 == pytest.approx(TOP + height * 0.06 / 1.12, abs=0.1)
    assert y2 == pytest.approx(y1 + height * 0.5 / 1.12, abs=0.1)
    zero = next(tick for tick in chart.y_ticks if tick.label == "0")
    assert zero.place == pytest.approx(y2 + (y2 - y1), abs=0.2)
    assert [tick.label for tick in chart.x_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert chart.lines[0].last == "2"


def test_values_that_are_not_finite_are_counted():
    """And what is left is drawn; a chart of nothing else has no line and says so."""
    chart = draw_lines("Loss", {"loss": curve([1.0, np.nan, np.inf, 2.0])})
    assert (len(places(chart.lines[0].raw)), chart.lines[0].num_not_finite) == (2, 2)
    empty = draw_lines("Loss", {"loss": curve([np.nan, np.nan])})
    assert (empty.lines[0].raw, empty.lines[0].last) == ("", "no finite value")
    page = render_curves(curves_of({"train/loss": curve([1.0, np.nan, np.inf, 2.0])}, None))
    assert "2 values are not finite" in page


def test_what_has_one_unit_shares_a_chart():
    """Losses each by themselves, all shares of training together; single numbers, times and undamaged data in none;
    what nobody foresaw by its own name, after all others."""
    two = curve([1.0, 2.0])
    names = ("train/loss", "train/instance/loss", "train/instance/top1", "train/speed/accuracy", "train/learning_rate")
    more = ("validation/train_knn_top1", "validation/effective_rank", "throughput/clips_per_second", "zebra/stripes")
    curves = dict.fromkeys((*names, *more, "time/step_fraction", "train/epoch"), two)
    curves |= {"data/num_damaged_videos": curve([0.0, 0.0]), "validation/retrieval_top1": curve([0.5])}
    assert list(chart_groups(curves).items()) == [
        ("Loss", ["train/loss"]),
        ("Loss of instance", ["train/instance/loss"]),
        ("Accuracy in training", ["train/instance/top1", "train/speed/accuracy"]),
        ("Accuracy in validation", ["validation/train_knn_top1"]),
        ("validation/effective_rank", ["validation/effective_rank"]),
        ("Learning rate", ["train/learning_rate"]),
        ("Throughput", ["throughput/clips_per_second"]),
        ("zebra/stripes", ["zebra/stripes"]),
    ]
    damaged = chart_groups({"data/num_damaged_videos": curve([0.0, 1.0])})
    assert list(damaged) == ["data/num_damaged_videos"]


def test_where_the_time_went():
    """Two looks of 10 steps of 8 clips: at 4 clips a second the first took 20 s, a quarter of it waiting; at 16 the
    second took 5 s, all of it steps; what is not covered is other."""
    spent = time_spent(
        {
            "throughput/clips_per_second": curve([4.0, 16.0], every=10),
            "time/step_fraction": curve([0.65, 1.0], every=10),
            "time/data_wait_fraction": curve([0.25], every=10),
        },
        clips_per_step=8,
    )
    assert spent is not None
    assert spent.total_seconds == pytest.approx(25.0)
    assert {phase.name: phase.seconds for phase in spent.phases} == pytest.approx(
        {"step": 18.0, "data_wait": 5.0, "other": 2.0}
    )
    assert [phase.share for phase in spent.phases] == pytest.approx([0.72, 0.2, 0.08])
    bottom, *_, top = (places(area.polygon) for area in spent.chart.areas)
    assert bottom[-1][1] == BOTTOM
    assert [y for _, y in top[:2]] == pytest.approx([TOP, TOP])


def test_without_times_there_is_no_table_of_them():
    assert time_spent({"train/loss": curve([1.0])}, 8) is None
    assert time_spent({"throughput/clips_per_second": curve([0.0]), "time/step_fraction": curve([1.0])}, 8) is None
    page = render_curves(curves_of({"train/loss": curve([1.0, 2.0])}, 8))
    assert "Where the time went" not in page


def test_the_page_holds_every_last_value():
    """Also of metrics that are in no chart, with their steps; a name of a stranger stays text."""
    name = "<script>alert(1)</script>"
    page = render_curves(curves_of({name: curve([0.25]), "train/loss": curve([3.0, 1.25], every=1000)}, None))
    rows = re.findall(r'<td class="mono">(.*?)</td><td class="number">(.*?)</td><td class="number">(.*?)</td>', page)
    assert rows == [("&lt;script&gt;alert(1)&lt;/script&gt;", "0.25", "1"), ("train/loss", "1.25", "2,000")]
    assert "<script" not in page


def test_what_a_runs_end_logs_again_is_no_restart():
    """Only the loop's own metrics tell of steps that were trained again."""
    again = MetricCurve(steps=np.arange(3), values=np.ones(3), num_repeated=1)
    assert curves_of({"train/loss": curve([1.0, 2.0]), "data/num_damaged_videos": again}, None).num_repeated == 0
    assert curves_of({"train/loss": again}, None).num_repeated == 1
