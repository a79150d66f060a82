"""Frames as numpy arrays in I420: the Y plane over the U plane over the V plane, 12 bits a pixel."""

from typing import Any, NamedTuple

import av
import numpy as np
from jaxtyping import UInt8


class Planes(NamedTuple):
    """The three planes of a picture: views of memory that others may own, to be read and not written."""

    luma: UInt8[np.ndarray, "height width"]
    u: UInt8[np.ndarray, "half_height half_width"]
    v: UInt8[np.ndarray, "half_height half_width"]


def frame_planes(frame: av.VideoFrame) -> Planes:
    """Views of a yuv420p frame of even sides, without the padding of the decoder's lines; they keep it alive.

    ValueError for another pixel format or odd sides.
    """
    height, width = frame.height, frame.width
    if frame.format.name not in ("yuv420p", "yuvj420p") or height % 2 or width % 2:
        raise ValueError(f"a {frame.format.name} frame of {width}x{height}; accepted: yuv420p of even sides")
    luma, u, v = frame.planes
    half_height, half_width = height // 2, width // 2
    return Planes(_lines(luma, height, width), _lines(u, half_height, half_width), _lines(v, half_height, half_width))


def picture_planes(picture: UInt8[np.ndarray, "planes_height width"]) -> Planes:
    """Views of a picture of [height * 3 // 2, width]."""
    height, width = len(picture) * 2 // 3, picture.shape[1]
    u, v = picture[height:].reshape(2, height // 2, width // 2)
    return Planes(picture[:height], u, v)


def frame_to_i420(frame: av.VideoFrame) -> UInt8[np.ndarray, "planes_height width"]:
    """The picture of a frame, copied once: [height * 3 // 2, width]. ValueError as `frame_planes`."""
    return copy_planes(frame_planes(frame))


def copy_planes(planes: Planes) -> UInt8[np.ndarray, "planes_height width"]:
    """A picture of its own."""
    height, width = planes.luma.shape
    picture = np.empty((height * 3 // 2, width), np.uint8)
    for target, plane in zip(picture_planes(picture), planes, strict=True):
        target[...] = plane
    return picture


def _lines(plane: Any, height: int, width: int) -> np.ndarray:
    """One call, for this runs three times a frame."""
    return np.ndarray((height, width), np.uint8, plane, 0, (plane.line_size, 1))
