"""Crop and resize in I420, the same for training, evaluation and a user's own videos."""

from collections.abc import Sequence

import cv2
import numpy as np

from rspnet_core.sampling.views import CropBox


def crop_and_resize(frames: Sequence[np.ndarray], crop: CropBox, crop_size: int) -> np.ndarray:
    """I420 frames [height * 3 // 2, width] of one clip -> uint8 [time, crop_size * 3 // 2, crop_size].

    Luma and chroma are resized each in their own plane, bilinearly and without antialiasing, as the published code
    resizes RGB; aspect is squashed to a square.
    """
    half = crop_size // 2
    clip = np.empty((len(frames), crop_size * 3 // 2, crop_size), dtype=np.uint8)
    for frame, out in zip(frames, clip, strict=True):
        luma, chroma = split_planes(frame)
        out[:crop_size] = resize(luma[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width], crop_size)
        top, left, height, width = (value // 2 for value in crop)
        out_chroma = out[crop_size:].reshape(2, half, half)
        for plane, out_plane in zip(chroma, out_chroma, strict=True):
            out_plane[:] = resize(plane[top : top + height, left : left + width], half)
    return clip


def split_planes(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luma [height, width] and chroma [2, height / 2, width / 2] of an I420 frame, without a copy."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    return frame[:height], frame[height:].reshape(2, height // 2, width // 2)


def resize(plane: np.ndarray, size: int) -> np.ndarray:
    if plane.shape == (size, size):
        return plane
    return cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR)
