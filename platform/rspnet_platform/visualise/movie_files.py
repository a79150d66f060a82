"""Short movies out of pictures."""

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np


def encode_mp4(pictures: Sequence[np.ndarray], frames_per_second: float, *, quality: int = 20) -> bytes:
    """H.264 in yuv420p, which every browser and player shows; pictures are uint8 [height, width, 3] of even sides.
    `quality` is x264's constant rate factor: lower is better and larger."""
    buffer = io.BytesIO()
    rate = Fraction(frames_per_second).limit_denominator(1000)
    options = {"crf": str(quality), "preset": "medium", "threads": "1"}
    with av.open(buffer, "w", format="mp4", options={"fflags": "+bitexact"}) as output:
        stream: Any = output.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        output.mux(stream.encode(None))
    return buffer.getvalue()
