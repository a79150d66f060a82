"""Decodes only the packets that the wanted frames need: the hot path of training."""

from collections.abc import Collection, Set
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from rspnet_platform.shards.i420 import Planes, copy_planes, frame_planes
from rspnet_platform.shards.packet_index import PacketIndex


class DamagedVideoError(Exception):
    """A stored video does not decode as it did when it was ingested; the message says what is missing."""


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
    frame_is_wanted = np.zeros(index.num_frames, np.bool_)
    frame_is_wanted[wanted_indices] = True
    packet_is_wanted = frame_is_wanted[index.frame_index]
    packet_is_needed = packet_is_wanted | ~index.is_disposable
    group_starts = np.flatnonzero(index.is_key)
    last_wanted = _last_wanted_packets(packet_is_wanted, group_starts)

    context = av.CodecContext.create("h264", "r")
    context.extradata = index.extradata
    context.thread_count = 1
    # Without it libav conceals what it cannot read and returns a wrong picture as if nothing had happened.
    context.options = {"err_detect": "explode"}
    decode = context.decode
    create_packet: Any = av.Packet  # its stub forgets that any buffer will do
    for start, last in zip(group_starts.tolist(), last_wanted.tolist(), strict=True):
        if last < 0:
            continue
        needed = start + np.flatnonzero(packet_is_needed[start : last + 1])
        columns = (index.offset[needed], index.size[needed], index.frame_index[needed])
        for offset, size, frame_index in zip(*(column.tolist() for column in columns), strict=True):
            packet = create_packet(video[offset : offset + size])
            packet.pts = frame_index
            _keep_wanted(frames, decode(packet), wanted)
        _keep_wanted(frames, decode(None), wanted)
        context.flush_buffers()


def _last_wanted_packets(packet_is_wanted: np.ndarray, group_starts: np.ndarray) -> np.ndarray:
    """For each group the position of its last wanted packet, -1 for none."""
    positions = np.where(packet_is_wanted, np.arange(len(packet_is_wanted)), -1)
    return np.maximum.reduceat(positions, group_starts)


def _keep_wanted(frames: dict, decoded: list, wanted: Set[int]) -> None:
    for frame in decoded:
        index = frame.pts
        if index in wanted and not frame.is_corrupt:
            frames[index] = frame


def _missing(frames: dict, wanted_indices: np.ndarray) -> str:
    missing = sorted(set(wanted_indices.tolist()) - frames.keys())
    shown = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
    return f"{len(missing)} of {len(wanted_indices)} wanted frames are missing (frames {shown})"
