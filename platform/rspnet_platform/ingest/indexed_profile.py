"""The profile `indexed`: pictures encoded for fast decoding in an MP4 file, its packet index, and the proof of both."""

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from rspnet_platform.shards.i420 import frame_to_i420
from rspnet_platform.shards.packet_index import PacketIndex, index_packets
from rspnet_platform.shards.packet_reader import DamagedVideoError, read_frames
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

ENCODER = "libx264"
# Closed groups of 32 in which up to 15 of 16 frames are disposable: most frames that a clip skips are free.
CODEC_SETTINGS = {
    "preset": "veryfast",
    "tune": "fastdecode",
    "crf": "20",
    "g": "32",
    "keyint_min": "32",
    "sc_threshold": "0",
    "bf": "15",
    "b_strategy": "0",
    "b-pyramid": "normal",
    # Reads memory that nobody wrote in x264's AVX-512 code, so that equal frames give different files; with a
    # fixed pattern of B-frames it also makes larger files of less quality.
    "mbtree": "0",
}
_NUM_FRAMES_CHECKED_AT_A_TIME = 256


def encode_indexed(
    pictures: Iterable[np.ndarray], frames_per_second: Fraction, max_stored_bytes: int
) -> tuple[bytes, int, int, int]:
    """(MP4 bytes, number of frames, height, width); the frame rate is constant, so that a frame's index is its time.

    `pictures` are I420 of one size. Memory holds the file and what the encoder looks ahead, not the pictures.
    """
    buffer, num_frames, stream = io.BytesIO(), 0, None
    height = width = 0
    with av.open(buffer, "w", format="mp4") as output:
        for picture in pictures:
            if stream is None:
                height, width = picture.shape[0] * 2 // 3, picture.shape[1]
                stream = _add_stream(output, height, width, frames_per_second)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = num_frames, 1 / frames_per_second
            output.mux(stream.encode(frame))
            num_frames += 1
            _check_stored_bytes(buffer.tell(), max_stored_bytes)
        if stream is not None:
            output.mux(stream.encode(None))
    data = buffer.getvalue()
    _check_stored_bytes(len(data), max_stored_bytes)
    return data, num_frames, height, width


def index_verified(data: bytes, num_frames: int, height: int, width: int) -> PacketIndex:
    """The packet index, once both ways of reading agree on pixels, size and number. Raises VideoRefusedError."""
    try:
        index = index_packets(data)
        num_decoded = _compare_readings(data, index, height, width)
    except (FFmpegError, ValueError, DamagedVideoError) as error:
        raise VideoRefusedError(RefusalReason.VERIFICATION_FAILED, str(error)) from error
    if num_decoded != num_frames or index.num_frames != num_frames:
        detail = f"{num_frames} frames went in, {num_decoded} came out of {index.num_frames} packets"
        raise VideoRefusedError(RefusalReason.VERIFICATION_FAILED, detail)
    return index


def _compare_readings(data: bytes, index: PacketIndex, height: int, width: int) -> int:
    """Decodes everything in order and a third of it by packets, a few hundred frames in memory at a time."""
    by_packets: dict[int, np.ndarray] = {}
    num_decoded = 0
    with av.open(io.BytesIO(data), "r") as container:
        for frame in container.decode(video=0):
            if num_decoded % _NUM_FRAMES_CHECKED_AT_A_TIME == 0:
                end = min(num_decoded + _NUM_FRAMES_CHECKED_AT_A_TIME, index.num_frames)
                window = range(num_decoded, end)
                by_packets = read_frames(data, index, {i for i in window if i % 5 == 0 or i % 7 == 1 or i == end - 1})
            if (frame.height, frame.width) != (height, width):
                raise DamagedVideoError(f"frame {num_decoded} is {frame.width}x{frame.height}, not {width}x{height}")
            if num_decoded in by_packets and not np.array_equal(frame_to_i420(frame), by_packets[num_decoded]):
                raise DamagedVideoError(f"frame {num_decoded} differs between the two ways of reading")
            num_decoded += 1
    return num_decoded


def _check_stored_bytes(num_bytes: int, max_stored_bytes: int) -> None:
    if num_bytes > max_stored_bytes:
        detail = f"more than {max_stored_bytes} bytes to store; accepted: up to that (max_stored_bytes)"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)


def _add_stream(output: Any, height: int, width: int, frames_per_second: Fraction) -> Any:
    stream = output.add_stream(ENCODER, rate=frames_per_second)
    stream.height, stream.width = height, width
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.time_base = 1 / frames_per_second
    context.options = CODEC_SETTINGS
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU601
    return stream
