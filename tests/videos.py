"""Makes small real videos for tests, with the faults and the properties that a test asks for."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def moving_pictures(num_frames: int, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """RGB pictures of a texture that drifts, so that no two frames are equal: uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    texture = generator.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    return [
        np.ascontiguousarray(np.roll(texture, (index, 2 * index), (0, 1))[:height, :width])
        for index in range(num_frames)
    ]


def encode_video(
    pictures: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    container: str = "mp4",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    options: dict[str, str] | None = None,
) -> bytes:
    """The pictures as a video file."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or default_options(codec))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def default_options(codec: str) -> dict[str, str]:
    """Without what makes x264 give other bytes each time (see `rspnet_platform.ingest.transcoding`)."""
    return {"mbtree": "0"} if codec == "libx264" else {}


def decode_all(data: bytes) -> list[np.ndarray]:
    """The slow obvious reference: every frame of a file, decoded from the first to the last, as I420."""
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]
