"""Where the cells and names of a confusion matrix lie in a picture: plain numbers for the pages' SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rspnet_platform.ingest.audit.formats import shorten
from rspnet_platform.visualise.confusion import ConfusionMatrix
from rspnet_platform.visualise.page_shell import render_fragment

MATRIX_WIDTH = 960
LARGEST_CELL, SMALLEST_CELL = 52, 9
"""Pixels: names of rows of 9 pixels can still be read; a matrix that gets too wide so is scrolled."""
SMALLEST_CELL_WITH_COUNT = 17
PIXELS_PER_CHARACTER = 6.2
MAX_NAME_LENGTH = 26
FAINTEST = 0.12
"""Of a cell that holds anything: one among a thousand must be seen."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    x: float
    y: float
    opacity: float
    is_hit: bool
    count: int
    title: str


@dataclass(frozen=True, kw_only=True)
class MatrixPicture:
    """`names`: shortened, of the rows from above and of the columns from the left, each with its number of videos."""

    width: float
    height: float
    left: float
    top: float
    side: float
    cell: float
    font_size: float
    names: Sequence[str]
    num_videos: Sequence[int]
    cells: Sequence[Cell]
    has_counts: bool


def picture_of(matrix: ConfusionMatrix) -> MatrixPicture:
    """Cells that hold nothing are the ground."""
    names = [shorten(name, MAX_NAME_LENGTH) for name in matrix.class_names]
    num_classes = max(len(names), 1)
    cell = min(LARGEST_CELL, max(SMALLEST_CELL, MATRIX_WIDTH / num_classes))
    font_size = min(12.0, 0.9 * cell)
    margin = max(map(len, names), default=0) * PIXELS_PER_CHARACTER * font_size / 11 + 14
    shares = matrix.shares
    cells = [
        Cell(
            x=round(column * cell + 0.5, 2),
            y=round(row * cell + 0.5, 2),
            opacity=round(FAINTEST + (1 - FAINTEST) * float(shares[row, column]), 3),
            is_hit=row == column,
            count=int(matrix.counts[row, column]),
            title=f"{matrix.class_names[row]}, taken for {matrix.class_names[column]}: {matrix.counts[row, column]:,} "
            f"({shares[row, column]:.0%})",
        )
        for row in range(len(names))
        for column in range(len(names))
        if matrix.counts[row, column]
    ]
    return MatrixPicture(
        width=margin + num_classes * cell + 40,
        height=margin + num_classes * cell + 8,
        left=margin,
        top=margin,
        side=num_classes * cell,
        cell=cell,
        font_size=font_size,
        names=names,
        num_videos=matrix.counts.sum(axis=1).tolist(),
        cells=cells,
        has_counts=cell >= SMALLEST_CELL_WITH_COUNT,
    )


def render_confusion(matrix: ConfusionMatrix, how: str) -> Markup:
    """`how`: a sentence on whose answers these are."""
    return render_fragment("confusion_matrix.html.jinja", matrix=matrix, picture=picture_of(matrix), how=how)
