"""Frames as numpy arrays in I420: the Y plane over the U plane over the V plane, 12 bits a pixel."""

from typing import Any

import av
import numpy as np
from jaxtyping import UInt8


def frame_to_i420(frame: av.VideoFrame) -> UInt8[np.ndarray, "planes_height width"]:
    """The picture of a yuv420p frame of even sides, copied once: [height * 3 // 2, width].

    The decoder pads lines; the padding is left out. ValueError for another pixel format or odd sides.
    """
    height, width = frame.height, frame.width
    if frame.format.name not in ("yuv420p", "yuvj420p") or height % 2 or width % 2:
        raise ValueError(f"a {frame.format.name} frame of {width}x{height}; accepted: yuv420p of even sides")
    half_height, half_width = height // 2, width // 2
    picture = np.empty((height * 3 // 2, width), np.uint8)
    luma, u, v = frame.planes
    picture[:height] = _lines(luma, height, width)
    chroma = picture[height:].reshape(2, half_height, half_width)
    chroma[0] = _lines(u, half_height, half_width)
    chroma[1] = _lines(v, half_height, half_width)
    return picture


def _lines(plane: Any, height: int, width: int) -> np.ndarray:
    """The plane without its padding, as a view: one call, for this runs three times a frame."""
    return np.ndarray((height, width), np.uint8, plane, 0, (plane.line_size, 1))
