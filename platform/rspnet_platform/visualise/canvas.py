"""A picture that tiles and lines of text are put on."""

from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

INK, SOFT, PAPER = (29, 35, 39), (93, 102, 109), (255, 254, 251)
TEXT_SIZE, TITLE_SIZE = 13, 17
LINE_HEIGHT = 19


class Canvas:
    """White paper of a size in pixels; `pixels` is what lies on it."""

    def __init__(self, *, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAPER)
        self._draw = ImageDraw.Draw(self.image)

    @property
    def pixels(self) -> np.ndarray:
        return np.asarray(self.image)

    def write(
        self,
        text: str,
        x: int,
        y: int,
        *,
        max_width: int,
        size: int = TEXT_SIZE,
        bold: bool = False,
        soft: bool = False,
        anchor: str = "la",
    ) -> None:
        """One line, cut to `max_width`. Text is drawn as it stands, whoever wrote it: nothing in it is markup."""
        font = _font(size, bold)
        self._draw.text((x, y), fitting(text, font, max_width), fill=SOFT if soft else INK, font=font, anchor=anchor)

    def put(self, picture: np.ndarray, x: int, y: int) -> None:
        """uint8 [height, width, 3]."""
        self.image.paste(Image.fromarray(np.ascontiguousarray(picture)), (x, y))


def fitting(text: str, font: ImageFont.FreeTypeFont, max_width: int) -> str:
    """In one line and printable, its middle left out where it is too long: the end of a path tells more."""
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:1000])
    shown, num_left = text, len(text)
    while font.getlength(shown) > max_width and num_left > 1:
        num_left -= max(1, num_left // 20)
        head = num_left // 3
        shown = f"{text[:head]}…{text[len(text) - (num_left - head) :]}"
    return shown


def tile(picture: np.ndarray, side: int) -> np.ndarray:
    """A picture [height, width, 3] in a square of `side` pixels, enlarged or made smaller smoothly."""
    is_smaller = side < picture.shape[0]
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC)


def tile_side(crop_size: int) -> int:
    """Large enough to see, no larger than needed: whole multiples of small crops."""
    return crop_size * max(1, round(128 / crop_size)) if crop_size <= 160 else 160


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)
