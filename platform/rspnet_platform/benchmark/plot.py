"""The benchmark's picture: a panel for each protocol's first number, a dot for each seed, a line for the mean."""

import io
from collections.abc import Sequence

from rspnet_platform.benchmark.summary import Column, Row, headlines

PANEL_WIDTH_INCHES, ROW_HEIGHT_INCHES = 3.4, 0.42
RANDOM_COLOUR, TRAINED_COLOUR = "#8a8a8a", "#1f6fb4"


def draw(rows: Sequence[Row], title: str) -> bytes:
    """A PNG. The band is the range of the random initialisations."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = headlines(rows)
    figure, panels = pyplot.subplots(
        1,
        len(shown),
        figsize=(2.2 + PANEL_WIDTH_INCHES * len(shown), 1.4 + ROW_HEIGHT_INCHES * len(rows)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, column in zip(panels[0], shown, strict=True):
        _draw_panel(axes, rows, column)
    panels[0][0].set_yticks(range(len(rows)), [row.name for row in rows])
    panels[0][0].invert_yaxis()
    figure.suptitle(title, fontsize=11)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=144)
    pyplot.close(figure)
    return content.getvalue()


def _draw_panel(axes: object, rows: Sequence[Row], column: Column) -> None:
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    random = [
        100 * value for row in rows if row.is_random and column in row.cells for value in row.cells[column].values
    ]
    axes.axvspan(min(random), max(random), color=RANDOM_COLOUR, alpha=0.18, linewidth=0)
    for place, row in enumerate(rows):
        if column not in row.cells:
            continue
        colour = RANDOM_COLOUR if row.is_random else TRAINED_COLOUR
        values = [100 * value for value in row.cells[column].values]
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.6, markersize=5, markeredgewidth=0)
        axes.plot([100 * row.cells[column].mean] * 2, [place - 0.28, place + 0.28], color=colour, linewidth=2)
    axes.set_title(" ".join(column), fontsize=10)
    axes.set_xlabel("%")
    axes.grid(axis="x", alpha=0.25)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
