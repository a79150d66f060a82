"""Decodes only the packets that the wanted frames need: the hot path of training."""

import threading
from collections.abc import Collection, Set
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from rspnet_platform.shards.i420 import Planes, copy_planes, frame_planes
from rspnet_platform.shards.packet_index import PacketIndex

MAX_DECODERS_KEPT = 4
"""Of each thread, with the memory of some 40 frames each."""


class DamagedVideoError(Exception):
    """A stored video does not decode as it did when it was ingested; the message says what is missing."""


class _Decoders(threading.local):
    """Opened decoders, the last used last: opening one takes a twentieth of a sample's decoding.

    Videos of one size, frame rate and encoder have the same extradata, and a flushed decoder begins anew at the next
    key frame, as it does within a video. One that met an error is not given back.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, Any] = {}

    def take(self, extradata: bytes) -> Any:
        return self._kept.pop(extradata, None) or _open_decoder(extradata)

    def give_back(self, extradata: bytes, decoder: Any) -> None:
        self._kept[extradata] = decoder
        if len(self._kept) > MAX_DECODERS_KEPT:
            del self._kept[next(iter(self._kept))]


_decoders = _Decoders()


def _open_decoder(extradata: bytes) -> av.CodecContext:
    decoder = av.CodecContext.create("h264", "r")
    decoder.extradata = extradata
    decoder.thread_count = 1
    # Without it libav conceals what it cannot read and returns a wrong picture as if nothing had happened.
    decoder.options = {"err_detect": "explode"}
    return decoder


def read_frames(
    video: bytes | memoryview, index: PacketIndex, wanted: Collection[int]
) -> dict[int, UInt8[np.ndarray, "planes_height width"]]:
    """As `read_planes`, each frame copied out of the decoder's memory: I420 uint8 of [height * 3 // 2, width]."""
    return {index: copy_planes(planes) for index, planes in read_planes(video, index, wanted).items()}


def read_planes(video: bytes | memoryview, index: PacketIndex, wanted: Collection[int]) -> dict[int, Planes]:
    """The planes of `decode_frames`, with its errors; DamagedVideoError too for other than yuv420p of even sides."""
    frames = decode_frames(video, index, wanted)
    try:
        return {index: frame_planes(frame) for index, frame in frames.items()}
    except ValueError as error:
        raise DamagedVideoError(str(error)) from error


def decode_frames(video: bytes | memoryview, index: PacketIndex, wanted: Collection[int]) -> dict[int, av.VideoFrame]:
    """The frames `wanted` by presentation index, in the decoder's own memory.

    Each is bit-exact equal to the same frame of a sequential decode. Frames that nobody wants and no other
    frame refers to are skipped, and each group of pictures is left after its last wanted packet.

    Raises DamagedVideoError when libav refuses a packet or a wanted frame does not come out, and ValueError
    for an index outside the video: that is a mistake of the plan, not of the bytes.
    """
    wanted_indices = np.fromiter(wanted, np.int64, len(wanted))
    if not len(wanted_indices):
        return {}
    if wanted_indices.min() < 0 or wanted_indices.max() >= index.num_frames:
        raise ValueError(
            f"frames {wanted_indices.min()} to {wanted_indices.max()} were asked of a video of"
            f" {index.num_frames} frames; accepted: 0 to {index.num_frames - 1}"
        )
    frames: dict[int, av.VideoFrame] = {}
    try:
        _decode_into(frames, memoryview(video), index, wanted_indices)
    except (FFmpegError, ValueError, IndexError) as error:
        raise DamagedVideoError(f"{_missing(frames, wanted_indices)}: {error!r}") from error
    if len(frames) != len(set(wanted_indices.tolist())):
        raise DamagedVideoError(f"{_missing(frames, wanted_indices)}: the decoder did not return them")
    return frames


def _decode_into(frames: dict, video: memoryview, index: PacketIndex, wanted_indices: np.ndarray) -> None:
    wanted = set(wanted_indices.tolist())
    needed, is_last = _needed_packets(index, wanted_indices)
    columns = (index.offset[needed], index.size[needed], index.frame_index[needed], is_last)
    decoder = _decoders.take(index.extradata)
    decode = decoder.decode
    create_packet: Any = av.Packet  # its stub forgets that any buffer will do
    for offset, size, frame_index, ends_group in zip(*(column.tolist() for column in columns), strict=True):
        packet = create_packet(video[offset : offset + size])
        packet.pts = frame_index
        _keep_wanted(frames, decode(packet), wanted)
        if ends_group:
            _keep_wanted(frames, decode(None), wanted)
            decoder.flush_buffers()
    _decoders.give_back(index.extradata, decoder)


def _needed_packets(index: PacketIndex, wanted_indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the packets to feed, and which of them are the last of their group of pictures.

    Each group is left after its last wanted packet, and until then only what is wanted or referred to is fed.
    """
    frame_is_wanted = np.zeros(index.num_frames, np.bool_)
    frame_is_wanted[wanted_indices] = True
    is_wanted = frame_is_wanted[index.frame_index]
    positions = np.arange(index.num_frames)
    group_starts = np.flatnonzero(index.is_key)
    last_wanted = np.maximum.reduceat(np.where(is_wanted, positions, -1), group_starts)
    last_in_group = last_wanted[np.cumsum(index.is_key) - 1]
    needed = np.flatnonzero((is_wanted | ~index.is_disposable) & (positions <= last_in_group))
    return needed, needed == last_in_group[needed]


def _keep_wanted(frames: dict, decoded: list, wanted: Set[int]) -> None:
    for frame in decoded:
        index = frame.pts
        if index in wanted and not frame.is_corrupt:
            frames[index] = frame


def _missing(frames: dict, wanted_indices: np.ndarray) -> str:
    missing = sorted(set(wanted_indices.tolist()) - frames.keys())
    shown = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
    return f"{len(missing)} of {len(wanted_indices)} wanted frames are missing (frames {shown})"
