"""From numbers to colours, and the legend that takes them back."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import matplotlib
import numpy as np

COLOUR_MAP = "inferno"
"""Perceptually uniform: equal steps of the map look equally large, also in grey and to colour-blind people."""
MAP_WEIGHT = 0.65
"""Of the map in an overlay; the rest is the frame in grey, whose own colours would be read as the map's."""


@dataclass(frozen=True, kw_only=True)
class ColourScale:
    """Values from `lowest` to `highest` over the colour map. Holds zero, so that nothing looks like something."""

    lowest: float
    highest: float

    @classmethod
    def of(cls, maps: Iterable[np.ndarray]) -> "ColourScale":
        """One that all of these maps fit in."""
        maps = list(maps)
        lowest, highest = min(0.0, *(float(values.min()) for values in maps)), max(float(m.max()) for m in maps)
        return cls(lowest=lowest, highest=max(highest, lowest + 1e-6))

    def colours(self, values: np.ndarray) -> np.ndarray:
        """uint8 RGB, one more axis than `values`."""
        share = (values - self.lowest) / (self.highest - self.lowest)
        return _table()[np.rint(share * 255).clip(0, 255).astype(int)]


def overlay(pictures: np.ndarray, values: np.ndarray, scale: ColourScale) -> np.ndarray:
    """uint8 [..., height, width, 3] of pictures of that shape under the colours of `values` [..., height, width]."""
    grey = pictures.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    mixed = MAP_WEIGHT * scale.colours(values) + (1 - MAP_WEIGHT) * grey[..., None]
    return mixed.round().astype(np.uint8)


def colour_bar(width: int, height: int) -> np.ndarray:
    """The colour map from left to right as it is, uint8 [height, width, 3]."""
    return np.broadcast_to(_table()[np.linspace(0, 255, width).round().astype(int)], (height, width, 3))


@cache
def _table() -> np.ndarray:
    return (matplotlib.colormaps[COLOUR_MAP](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
