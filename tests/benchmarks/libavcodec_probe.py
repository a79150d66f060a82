"""libavcodec's own time for the packets of a sample: the limit that no reader on top of it can beat."""

import ctypes
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from rspnet_platform.shards.packet_index import PacketIndex

SOURCE = Path(__file__).with_name("libavcodec_probe.c")


class ProbeUnavailableError(Exception):
    """No C compiler, or a PyAV without libraries of its own; the message says which."""


@dataclass(frozen=True, kw_only=True)
class NeededPackets:
    """What has to be fed for some frames, in decode order, and where a group of pictures is left."""

    offset: np.ndarray
    size: np.ndarray
    is_last: np.ndarray


def needed_packets(index: PacketIndex, wanted: Collection[int]) -> NeededPackets:
    """All that is wanted or referred to, in each group up to its last wanted packet: slow and obvious."""
    positions: list[int] = []
    is_last: list[bool] = []
    starts = [*np.flatnonzero(index.is_key).tolist(), index.num_frames]
    for start, end in itertools.pairwise(starts):
        wanted_here = [position for position in range(start, end) if index.frame_index[position] in wanted]
        if not wanted_here:
            continue
        needed = [p for p in range(start, wanted_here[-1] + 1) if p in wanted_here or not index.is_disposable[p]]
        positions += needed
        is_last += [False] * (len(needed) - 1) + [True]
    return NeededPackets(
        offset=np.ascontiguousarray(index.offset[positions], np.int64),
        size=np.ascontiguousarray(index.size[positions], np.int32),
        is_last=np.array(is_last, np.uint8),
    )


class LibavcodecProbe:
    """The compiled probe, bound to PyAV's libavcodec. Raises ProbeUnavailableError."""

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "libavcodec_probe.so"
            _compile(library)
            self._library = ctypes.CDLL(str(library))
        paths = [_bundled_library(name) for name in ("libavcodec", "libavutil")]
        if self._library.probe_bind(*(str(path).encode() for path in paths)):
            raise ProbeUnavailableError(f"{paths[0]} lacks functions that the probe needs")

    def decode(self, video: memoryview | bytes, extradata: bytes, packets: NeededPackets) -> int:
        """The number of frames; one call, and no Python until it returns."""
        arrays = (np.frombuffer(video, np.uint8), packets.offset, packets.size, packets.is_last)
        data, offset, size, is_last = (ctypes.c_void_p(array.ctypes.data) for array in arrays)
        num_packets = len(packets.offset)
        return self._library.probe_decode(data, extradata, len(extradata), offset, size, is_last, num_packets)


def _compile(library: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise ProbeUnavailableError("no C compiler (cc, gcc or clang) on the PATH")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ProbeUnavailableError(f"{' '.join(command)} failed: {done.stderr}")


def _bundled_library(name: str) -> Path:
    folder = Path(av.__file__).parents[1] / "av.libs"
    found = sorted(folder.glob(f"{name}-*.so*")) or sorted(folder.glob(f"{name}.so*"))
    if not found:
        raise ProbeUnavailableError(f"no {name} in {folder}: PyAV was not installed from a wheel")
    return found[0]
