"""Crop and resize in I420, the same for training, evaluation and a user's own videos."""

from collections.abc import Sequence

import cv2
import numpy as np

from rspnet_core.sampling.views import CropBox
from rspnet_platform.shards.i420 import Planes


def crop_and_resize(
    frames: Sequence[Planes], crops: Sequence[CropBox], crop_size: int, out: np.ndarray | None = None
) -> np.ndarray:
    """The frames of clips that are seen alike -> uint8 [time, crop_size * 3 // 2, crop_size]; `crops` holds one box for
    all of them, or one for each.

    Luma and chroma are resized each in their own plane, bilinearly and without antialiasing, as the published code
    resizes RGB; aspect is squashed to a square. A frame that comes again is copied: clips overlap, and short videos
    begin anew. `out`, where given, is a C-contiguous array of the result's shape.
    """
    half = crop_size // 2
    assert out is None or out.flags.c_contiguous, "chroma would be resized into a copy"
    clip = np.empty((len(frames), crop_size * 3 // 2, crop_size), np.uint8) if out is None else out
    out_luma, out_chroma = clip[:, :crop_size], clip[:, crop_size:].reshape(len(frames), 2, half, half)
    boxes = crops if len(crops) > 1 else [crops[0]] * len(frames)
    first_places: dict[tuple[int, CropBox], int] = {}
    for place, (frame, crop) in enumerate(zip(frames, boxes, strict=True)):
        first_place = first_places.setdefault((id(frame), crop), place)
        if first_place != place:
            clip[place] = clip[first_place]
            continue
        inside, half_inside = crop_slices(crop), crop_slices(CropBox(*(value // 2 for value in crop)))
        resize_into(out_luma[place], frame.luma[inside])
        resize_into(out_chroma[place, 0], frame.u[half_inside])
        resize_into(out_chroma[place, 1], frame.v[half_inside])
    return clip


def crop_slices(crop: CropBox) -> tuple[slice, slice]:
    return slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)


def resize_into(out: np.ndarray, plane: np.ndarray) -> None:
    """Into `out` itself: a result of its own, copied, made crops a third slower."""
    if plane.shape == out.shape:
        out[...] = plane
    else:
        cv2.resize(plane, out.shape[::-1], out, interpolation=cv2.INTER_LINEAR)
