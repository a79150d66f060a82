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
    picture = np.empty((height * 3 // 2, width), np.uint8)
    flat = picture.reshape(-1)
    luma, chroma = height * width, (height // 2) * (width // 2)
    planes = frame.planes
    _copy_plane(planes[0], flat[:luma], width)
    _copy_plane(planes[1], flat[luma : luma + chroma], width // 2)
    _copy_plane(planes[2], flat[luma + chroma :], width // 2)
    return picture


def _copy_plane(plane: Any, target: np.ndarray, width: int) -> None:
    line_size = plane.line_size
    height = len(target) // width
    lines = np.frombuffer(plane, np.uint8, height * line_size).reshape(height, line_size)
    target.reshape(height, width)[...] = lines[:, :width]
