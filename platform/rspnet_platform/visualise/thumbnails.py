"""A whole video as a small moving picture that a page holds inside itself."""

import base64
import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from rspnet_platform.shards.i420 import copy_planes
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.frame_readers import FrameReader

HEIGHT, MAX_WIDTH = 96, 160
"""Pixels; a very wide picture gets lower instead."""
MAX_NUM_FRAMES = 16
MAX_NUM_BYTES = 48_000
"""Of one thumbnail; a page's size is bounded by it."""
QUALITIES = (60, 40, 20, 5)
SHORTEST_FRAME, LONGEST_FRAME = 40, 250
"""Milliseconds: browsers slow down what is faster, and nothing seems to move in what is slower."""


@dataclass(frozen=True, kw_only=True)
class Thumbnail:
    """An animated WebP that repeats for ever, in base64."""

    webp_base64: str
    width: int
    height: int


def make_thumbnail(video: EncodedVideo, reader: FrameReader) -> Thumbnail:
    """At most MAX_NUM_FRAMES frames, spread evenly over the whole video, at its own pace. Raises DamagedVideoError."""
    num_shown = min(video.info.num_frames, MAX_NUM_FRAMES)
    wanted = [(2 * place + 1) * video.info.num_frames // (2 * num_shown) for place in range(num_shown)]
    frames = reader.read(video, set(wanted))
    pictures = [small_picture(copy_planes(frames[index])) for index in wanted]
    seconds = video.info.num_frames / video.info.frames_per_second / num_shown
    data = encode_webp(pictures, milliseconds=round(np.clip(1000 * seconds, SHORTEST_FRAME, LONGEST_FRAME)))
    height, width = pictures[0].shape[:2]
    return Thumbnail(webp_base64=base64.b64encode(data).decode(), width=width, height=height)


def small_picture(planes: np.ndarray) -> np.ndarray:
    """RGB uint8 [height, width, 3] of an I420 picture."""
    picture = cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420)
    height, width = picture.shape[:2]
    scale = min(HEIGHT / height, MAX_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def encode_webp(pictures: list[np.ndarray], *, milliseconds: int, max_num_bytes: int = MAX_NUM_BYTES) -> bytes:
    """As good as `max_num_bytes` allow: with less quality, then with every second frame, at the same pace."""
    while True:
        for quality in QUALITIES:
            data = _encode(pictures, quality, milliseconds)
            if len(data) <= max_num_bytes or len(pictures) == 1:
                return data
        pictures, milliseconds = pictures[::2], 2 * milliseconds


def _encode(pictures: list[np.ndarray], quality: int, milliseconds: int) -> bytes:
    buffer = io.BytesIO()
    first, *others = [Image.fromarray(picture) for picture in pictures]
    first.save(
        buffer, "WEBP", save_all=True, append_images=others, duration=milliseconds, loop=0, quality=quality, method=4
    )
    return buffer.getvalue()
