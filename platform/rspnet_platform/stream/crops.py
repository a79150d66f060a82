"""Crop and resize in I420, the same for training, evaluation and a user's own videos."""

from collections.abc import Sequence

import cv2
import numpy as np

from rspnet_core.sampling.views import CropBox


def crop_and_resize(
    frames: Sequence[np.ndarray], crops: Sequence[CropBox], crop_size: int, out: np.ndarray | None = None
) -> np.ndarray:
    """I420 frames [height * 3 // 2, width] of one clip -> uint8 [time, crop_size * 3 // 2, crop_size]. `crops`: one box
    for all frames, or one for each.

    Luma and chroma are resized each in their own plane, bilinearly and without antialiasing, as the published code
    resizes RGB; aspect is squashed to a square. `out`, where given, is a C-contiguous array of the result's shape.
    """
    half = crop_size // 2
    assert out is None or out.flags.c_contiguous, "chroma would be resized into a copy"
    clip = np.empty((len(frames), crop_size * 3 // 2, crop_size), np.uint8) if out is None else out
    out_luma, out_chroma = clip[:, :crop_size], clip[:, crop_size:].reshape(len(frames), 2, half, half)
    boxes = crops if len(crops) > 1 else [crops[0]] * len(frames)
    for frame, crop, to_luma, (to_u, to_v) in zip(frames, boxes, out_luma, out_chroma, strict=True):
        inside, half_inside = crop_slices(crop), crop_slices(CropBox(*(value // 2 for value in crop)))
        luma, (u, v) = split_planes(frame)
        resize_into(to_luma, luma[inside])
        resize_into(to_u, u[half_inside])
        resize_into(to_v, v[half_inside])
    return clip


def crop_slices(crop: CropBox) -> tuple[slice, slice]:
    return slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)


def split_planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luma [height, width] and chroma [2, height / 2, width / 2] of an I420 frame, without a copy."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    return frame[:height], frame[height:].reshape(2, height // 2, width // 2)


def resize_into(out: np.ndarray, plane: np.ndarray) -> None:
    """Into `out` itself: a result of its own, copied, made crops a third slower."""
    if plane.shape == out.shape:
        out[...] = plane
    else:
        cv2.resize(plane, out.shape[::-1], out, interpolation=cv2.INTER_LINEAR)
