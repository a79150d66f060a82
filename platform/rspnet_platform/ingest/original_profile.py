"""The profile `original`: a video keeps its own bytes, once each of its frames has been decoded in order."""

from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError


def read_original(file: BinaryIO, max_stored_bytes: int) -> bytes:
    """The whole file: what is decoded and counted are the very bytes that are stored."""
    data = file.read(max_stored_bytes + 1)
    if len(data) > max_stored_bytes:
        detail = f"more than {max_stored_bytes} bytes to store; accepted: up to that (max_stored_bytes)"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)
    return data


def count_pictures(pictures: Iterable[np.ndarray]) -> tuple[int, int, int]:
    """(number, height, width) of I420 pictures of one size; memory holds one of them."""
    num_frames, shape = 0, (0, 0)
    for picture in pictures:
        num_frames, shape = num_frames + 1, picture.shape
    return num_frames, shape[0] * 2 // 3, shape[1]
