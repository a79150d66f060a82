"""What runs in decord's own process: requests in, RGB pictures out, until nobody asks any more.

Imports of ours stay out: it must start fast, and PyAV's libraries beside decord's have crashed both.
"""

import io
import json
import os
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np


def main(file_descriptor: int) -> None:
    """A request is a JSON object and the video's bytes; the answer a JSON object with `shape` and the pictures as
    uint8 [frame, height, width, 3], or one with `error` alone. The first message says that there is a decord."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    channel = Connection(file_descriptor)
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    channel.send_bytes(decord.__version__.encode())
    while True:
        try:
            request, video = json.loads(channel.recv_bytes()), channel.recv_bytes()
        except EOFError:
            return
        try:
            pictures = rgb_pictures(video, **request)
        except Exception as error:  # decord's own error is a bare Exception
            channel.send_bytes(json.dumps({"error": f"{type(error).__name__}: {first_line(error)}"}).encode())
            continue
        channel.send_bytes(json.dumps({"shape": pictures.shape}).encode())
        channel.send_bytes(pictures.reshape(-1).data)


def end_with_parent() -> None:
    """Standard input is a pipe whose other end the parent alone holds; a hanging decoder must not outlive it."""
    sys.stdin.buffer.read()
    os._exit(0)


def rgb_pictures(video: bytes, *, frame_indices: Sequence[int], num_frames: int, height: int, width: int) -> np.ndarray:
    """Raises ValueError where decord counts other frames than `num_frames`: its indices then mean others too."""
    import decord

    reader = decord.VideoReader(io.BytesIO(video), ctx=decord.cpu(0), width=width, height=height, num_threads=1)
    if len(reader) != num_frames:
        raise ValueError(f"decord counts {len(reader)} frames, and the ingest counted {num_frames}")
    return np.ascontiguousarray(reader.get_batch(frame_indices).asnumpy())


def first_line(error: Exception) -> str:
    """decord's messages go on with a stack of C++ calls."""
    return str(error).strip().partition("\n")[0]
