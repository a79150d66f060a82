"""The two clips of a pair side by side in motion, over what each head finds alike."""

import numpy as np

from rspnet_platform.visualise.canvas import LINE_HEIGHT, TITLE_SIZE, Canvas, tile, tile_side
from rspnet_platform.visualise.map_colours import ColourScale, overlay
from rspnet_platform.visualise.movie_files import encode_mp4
from rspnet_platform.visualise.roi_sheet import FOOTER_HEIGHT, GAP, MARGIN, MIN_WIDTH, draw_legend, in_words
from rspnet_platform.visualise.task_clips import ClipMaps, ComparedPair

SLOWED_DOWN = 4
"""A clip of 8 frames lasts a quarter of a second: nobody sees anything. Both clips are slowed alike, so that 2x still
looks twice as fast as 1x."""
MIN_SECONDS = 4.0
"""Clips begin again until then: many players do not repeat by themselves."""
TITLE_HEIGHT = TITLE_SIZE + 2 * LINE_HEIGHT


def draw_movie(pair: ComparedPair, scale: ColourScale) -> bytes:
    """MP4. Columns: both clips; rows: frames, then one overlay a head; the sheet's colour scale and legend."""
    sides = (pair.first, pair.second)
    side = tile_side(pair.first.clip.pictures.shape[1])
    background, places = _background(pair, scale, side)
    columns = [_rows(maps, scale) for maps in sides]
    pictures = []
    for frame in range(len(pair.first.clip.pictures)):
        picture = background.copy()
        for place, rows in zip(places, columns, strict=True):
            for (left, top), shown in zip(place, rows, strict=True):
                picture[top : top + side, left : left + side] = tile(shown[frame], side)
        pictures.append(picture)
    frames_per_second = max(1.0, pair.video.frames_per_second / SLOWED_DOWN)
    num_times = int(np.ceil(MIN_SECONDS * frames_per_second / len(pictures)))
    return encode_mp4(pictures * num_times, frames_per_second)


def _rows(maps: ClipMaps, scale: ColourScale) -> list[np.ndarray]:
    pictures = maps.clip.pictures
    return [pictures, *(overlay(pictures, each.values, scale) for each in maps.maps)]


def _background(
    pair: ComparedPair, scale: ColourScale, side: int
) -> tuple[np.ndarray, tuple[list[tuple[int, int]], list[tuple[int, int]]]]:
    """All that does not move, and of each clip where its rows go: (left, top)."""
    names = ["input", *(f"{each.head} {each.cosine:+.2f}" for each in pair.first.maps)]
    canvas_width = MIN_WIDTH
    height = MARGIN * 2 + TITLE_HEIGHT + LINE_HEIGHT + len(names) * (side + GAP) + LINE_HEIGHT + FOOTER_HEIGHT
    canvas = Canvas(width=canvas_width, height=height + height % 2)
    left = (canvas_width - 2 * side - GAP) // 2
    lefts = (left, left + side + GAP)
    canvas.write(pair.video.video_id, MARGIN, MARGIN, max_width=canvas_width - 2 * MARGIN, size=TITLE_SIZE, bold=True)
    label = f"class {pair.video.label}" if pair.video.label is not None else "no label"
    canvas.write(
        f"{label}   ·   slowed down {SLOWED_DOWN} times", MARGIN, MARGIN + TITLE_SIZE + 6, max_width=canvas_width - 40
    )
    top = MARGIN + TITLE_HEIGHT
    for x, maps in zip(lefts, (pair.first, pair.second), strict=True):
        canvas.write(in_words(maps), x + side // 2, top, max_width=side, anchor="ma")
    tops = [top + LINE_HEIGHT + row * (side + GAP) for row in range(len(names))]
    for row_top, name in zip(tops, names, strict=True):
        canvas.write(name, left - 12, row_top + side // 2, max_width=left - 2 * MARGIN, bold=True, anchor="rm")
    draw_legend(canvas, pair, scale, top=tops[-1] + side + GAP + LINE_HEIGHT)
    first, second = ([(x, row_top) for row_top in tops] for x in lefts)
    return canvas.pixels, (first, second)
