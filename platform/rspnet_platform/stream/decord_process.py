"""decord in a child process of this one: a crash or a hang there costs one video, and the next has a new child.

The child stays over many videos and ends with its parent, however that ends. What it sends is read as JSON and as so
many bytes, never unpickled: a decoder that a file has taken over could send anything.
"""

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Pipe

import numpy as np

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform.shards.packet_reader import DamagedVideoError

MAX_HEADER_BYTES = 10_000
START_TIMEOUT_SECONDS = 120.0


def decord_pictures(
    video: bytes | memoryview, info: VideoInfo, frame_indices: Sequence[int], *, timeout_seconds: float
) -> np.ndarray:
    """RGB uint8 [frame, info.height, info.width, 3]. Raises DamagedVideoError for what decord refuses, for a number of
    frames other than `info.num_frames`, and where the child crashes or takes longer than `timeout_seconds`."""
    request = {
        "frame_indices": list(frame_indices),
        "num_frames": info.num_frames,
        "height": info.height,
        "width": info.width,
    }
    shape = (len(frame_indices), info.height, info.width, 3)
    with _lock:
        return _current_child().pictures(request, video, shape, timeout_seconds)


class DecordChild:
    def __init__(self) -> None:
        self._channel, theirs = Pipe()
        code = f"from rspnet_platform.stream.decord_child import main; main({theirs.fileno()})"
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,  # its end tells the child that its parent has ended
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": path},
        )
        theirs.close()
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        """Without a decord that loads, no video is to blame."""
        try:
            if self._channel.poll(START_TIMEOUT_SECONDS):
                self._channel.recv_bytes(maxlength=MAX_HEADER_BYTES)
                return
        except (OSError, EOFError):
            pass
        self.end()
        raise RuntimeError(
            f"decord's process did not start: status {self._process.returncode}, and its own message above; accepted "
            "is an installed decord, or --data.decoder pyav"
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def pictures(
        self, request: dict, video: bytes | memoryview, shape: tuple[int, ...], timeout_seconds: float
    ) -> np.ndarray:
        """Ends the child where it does not answer as it should."""
        try:
            answer = self._ask(request, video, timeout_seconds)
            if "error" not in answer and tuple(answer["shape"]) == shape:
                pictures = self._channel.recv_bytes(maxlength=int(np.prod(shape)))
                return np.frombuffer(pictures, np.uint8).reshape(shape)
        except TimeoutError:
            self.end()
            raise DamagedVideoError(f"decord took longer than {timeout_seconds:g} seconds") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            self.end()
            raise DamagedVideoError(f"decord's process ended with status {self._process.returncode}") from error
        if "error" not in answer:
            self.end()
        raise DamagedVideoError(answer.get("error") or f"decord gave pictures of {answer['shape']}, not {shape}")

    def _ask(self, request: dict, video: bytes | memoryview, timeout_seconds: float) -> dict:
        self._channel.send_bytes(json.dumps(request).encode())
        self._channel.send_bytes(video)
        if not self._channel.poll(timeout_seconds):
            raise TimeoutError
        return dict(json.loads(self._channel.recv_bytes(maxlength=MAX_HEADER_BYTES)))

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()
        assert self._process.stdin is not None
        self._process.stdin.close()


_lock = threading.Lock()
_child: DecordChild | None = None


def _current_child() -> DecordChild:
    """One for the life of this process, and another after it has ended."""
    global _child
    if _child is None:
        atexit.register(end_child)
    if _child is None or not _child.is_alive:
        _child = DecordChild()
    return _child


def end_child() -> None:
    """Harmless where there is none."""
    if _child is not None and _child.is_alive:
        _child.end()
