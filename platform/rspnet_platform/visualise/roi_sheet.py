"""One page for two clips that a task compares: their frames, and under them what each head finds alike."""

import io

import numpy as np

from rspnet_platform.visualise.canvas import LINE_HEIGHT, TITLE_SIZE, Canvas, tile, tile_side
from rspnet_platform.visualise.map_colours import ColourScale, colour_bar, overlay
from rspnet_platform.visualise.task_clips import ClipMaps, ComparedPair

MAX_COLUMNS = 8
MARGIN, GUTTER, GAP = 20, 132, 4
LEGEND_WIDTH, LEGEND_HEIGHT = 260, 14
MIN_WIDTH = 760
TITLE_HEIGHT = TITLE_SIZE + 3 * LINE_HEIGHT
FOOTER_HEIGHT = 3 * LINE_HEIGHT


def draw_sheet(pair: ComparedPair, scale: ColourScale, checkpoint: str) -> bytes:
    """PNG. Rows: of each clip its frames and one overlay a head; columns: at most MAX_COLUMNS frames, evenly spaced."""
    num_frames = len(pair.first.clip.pictures)
    columns = np.linspace(0, num_frames - 1, min(num_frames, MAX_COLUMNS)).round().astype(int)
    side = tile_side(pair.first.clip.pictures.shape[1])
    block = LINE_HEIGHT * 2 + (1 + len(pair.first.maps)) * (side + GAP) + LINE_HEIGHT
    canvas = Canvas(
        width=max(MIN_WIDTH, 2 * MARGIN + GUTTER + len(columns) * (side + GAP)),
        height=MARGIN * 2 + TITLE_HEIGHT + 2 * block + FOOTER_HEIGHT,
    )
    draw_title(canvas, pair, checkpoint)
    for place, maps in enumerate((pair.first, pair.second)):
        _draw_clip(canvas, maps, scale, columns, side, top=MARGIN + TITLE_HEIGHT + place * block)
    draw_legend(canvas, pair, scale, top=MARGIN + TITLE_HEIGHT + 2 * block)
    buffer = io.BytesIO()
    canvas.image.save(buffer, "PNG")
    return buffer.getvalue()


def draw_title(canvas: Canvas, pair: ComparedPair, checkpoint: str) -> None:
    width = canvas.image.width - 2 * MARGIN
    canvas.write(pair.video.video_id, MARGIN, MARGIN, max_width=width, size=TITLE_SIZE, bold=True)
    label = f"class {pair.video.label}" if pair.video.label is not None else "no label"
    top = MARGIN + TITLE_SIZE + 6
    canvas.write(f"{label}   ·   {cosines(pair)}", MARGIN, top, max_width=width)
    canvas.write(checkpoint, MARGIN, top + LINE_HEIGHT, max_width=width, soft=True)


def cosines(pair: ComparedPair) -> str:
    """What the loss sees of the pair."""
    first, second = pair.first, pair.second
    found = "   ".join(f"{each.head} {each.cosine:+.3f}" for each in first.maps)
    return f"cosine of {in_words(first)} and {in_words(second)}:   {found}"


def in_words(maps: ClipMaps) -> str:
    return f"{maps.name} ({maps.clip.playback_speed:g}x)"


def _draw_clip(canvas: Canvas, maps: ClipMaps, scale: ColourScale, columns: np.ndarray, side: int, *, top: int) -> None:
    clip, width = maps.clip, canvas.image.width - 2 * MARGIN
    heading = f"{maps.name} at speed {clip.playback_speed:g}x"
    canvas.write(heading, MARGIN, top, max_width=width, bold=True)
    rows = [("input", "frames of the video", clip.pictures[columns])]
    for each in maps.maps:
        shown = overlay(clip.pictures[columns], each.values[columns], scale)
        rows.append((each.head, f"offset {each.offset:+.3f}", shown))
    top += LINE_HEIGHT
    for column, frame in enumerate(columns):
        left = MARGIN + GUTTER + column * (side + GAP)
        canvas.write(str(clip.frame_indices[frame]), left + side // 2, top, max_width=side, soft=True, anchor="ma")
    top += LINE_HEIGHT
    for name, remark, pictures in rows:
        canvas.write(name, MARGIN, top + side // 2 - LINE_HEIGHT, max_width=GUTTER - 8, bold=True)
        canvas.write(remark, MARGIN, top + side // 2, max_width=GUTTER - 4, soft=True)
        for column, picture in enumerate(pictures):
            canvas.put(tile(picture, side), MARGIN + GUTTER + column * (side + GAP), top)
        top += side + GAP


def draw_legend(canvas: Canvas, pair: ComparedPair, scale: ColourScale, *, top: int) -> None:
    """The scale of all maps on the sheet, its ends and zero, and what the numbers are."""
    canvas.put(colour_bar(LEGEND_WIDTH, LEGEND_HEIGHT), MARGIN, top)
    marks = [(0, scale.lowest, "la"), (LEGEND_WIDTH, scale.highest, "ra")]
    zero = round(-scale.lowest / (scale.highest - scale.lowest) * LEGEND_WIDTH)
    if 64 < zero < LEGEND_WIDTH - 64:  # else the numbers would touch
        marks.append((zero, 0.0, "ma"))
    for offset, value, anchor in marks:
        canvas.write(f"{value:.2f}", MARGIN + offset, top + LEGEND_HEIGHT + 3, max_width=80, anchor=anchor)
    left = MARGIN + LEGEND_WIDTH + 24
    size = " x ".join(map(str, pair.first.maps[0].map_size))
    lines = (
        "what a position adds to the cosine with the other clip;",
        "the map's mean + offset = the cosine",
        f"maps of {size} (time, height, width), upsampled trilinearly",
    )
    for line, text in enumerate(lines):
        width = canvas.image.width - left - MARGIN
        canvas.write(text, left, top - 3 + line * LINE_HEIGHT, max_width=width, soft=True)
