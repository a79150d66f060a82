"""One video into the indexed profile: decode once, encode for fast decoding, index, verify."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.shards.i420 import frame_to_i420
from rspnet_platform.shards.packet_index import PacketIndex, index_packets
from rspnet_platform.shards.packet_reader import DamagedVideoError, read_frames
from rspnet_platform.videos.input_facts import InputFacts
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

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


@dataclass(frozen=True, kw_only=True)
class TranscodedVideo:
    """A verified video. `sha256` is of the input's bytes, `encoded_sha256` of `data`, an MP4 file; `facts` say what
    the input was."""

    num_frames: int
    frames_per_second: float
    height: int
    width: int
    sha256: str
    encoded_sha256: str
    data: bytes
    index: PacketIndex
    facts: InputFacts


def library_versions() -> tuple[str, str]:
    """(decoder, encoder) as a data set records them."""
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"PyAV {av.__version__}, libavcodec {libavcodec}", f"{ENCODER} in libavcodec {libavcodec}"


def transcode(file: BinaryIO, config: IngestConfig) -> TranscodedVideo:
    """Raises VideoRefusedError for a video that cannot or may not become part of a data set."""
    sha256 = _hash_input(file, config.limits.max_input_bytes)
    with open_video(file, short_side=config.short_side, limits=config.limits) as video:
        data, num_frames = _encode(video.frames, video.frames_per_second)
        frames_per_second, facts = float(video.frames_per_second), video.facts
    if num_frames < config.min_num_frames:
        detail = f"{num_frames} decoded frames; accepted: {config.min_num_frames} or more"
        raise VideoRefusedError(RefusalReason.TOO_SHORT, detail)
    index, height, width = _verify(data, num_frames)
    return TranscodedVideo(
        num_frames=num_frames,
        frames_per_second=frames_per_second,
        height=height,
        width=width,
        sha256=sha256,
        encoded_sha256=hashlib.sha256(data).hexdigest(),
        data=data,
        index=index,
        facts=replace(facts, num_frames=num_frames),
    )


def _hash_input(file: BinaryIO, max_input_bytes: int) -> str:
    num_bytes = file.seek(0, io.SEEK_END)
    if num_bytes > max_input_bytes:
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, f"{num_bytes} bytes; accepted: up to {max_input_bytes}")
    if not num_bytes:
        raise VideoRefusedError(RefusalReason.UNREADABLE, "the file is empty")
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def _encode(pictures: Iterator[np.ndarray], frames_per_second: Fraction) -> tuple[bytes, int]:
    """(MP4 bytes, number of frames); the frame rate is constant, so that a frame's index is its time."""
    buffer, num_frames, stream = io.BytesIO(), 0, None
    with av.open(buffer, "w", format="mp4") as output:
        for picture in pictures:
            if stream is None:
                stream = _add_stream(output, picture, frames_per_second)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = num_frames, 1 / frames_per_second
            output.mux(stream.encode(frame))
            num_frames += 1
        if stream is not None:
            output.mux(stream.encode(None))
    return buffer.getvalue(), num_frames


def _add_stream(output: Any, picture: np.ndarray, frames_per_second: Fraction) -> Any:
    stream = output.add_stream(ENCODER, rate=frames_per_second)
    stream.height, stream.width = picture.shape[0] * 2 // 3, picture.shape[1]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_count = 1
    context.time_base = 1 / frames_per_second
    context.options = CODEC_SETTINGS
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU601
    return stream


def _verify(data: bytes, num_frames: int) -> tuple[PacketIndex, int, int]:
    """(index, height, width) of what was written, once both ways of reading it agree."""
    try:
        index = index_packets(data)
        checked = {*range(0, num_frames, 5), *range(1, num_frames, 7), num_frames - 1}
        frames = read_frames(data, index, checked)
        num_decoded = 0
        with av.open(io.BytesIO(data), "r") as container:
            for frame in container.decode(video=0):
                if num_decoded in frames and not np.array_equal(frame_to_i420(frame), frames[num_decoded]):
                    raise DamagedVideoError(f"frame {num_decoded} differs between the two ways of reading")
                num_decoded += 1
    except (FFmpegError, ValueError, DamagedVideoError) as error:
        raise VideoRefusedError(RefusalReason.VERIFICATION_FAILED, str(error)) from error
    if num_decoded != num_frames or index.num_frames != num_frames:
        detail = f"{num_frames} frames went in, {num_decoded} came out of {index.num_frames} packets"
        raise VideoRefusedError(RefusalReason.VERIFICATION_FAILED, detail)
    height, width = frames[0].shape[0] * 2 // 3, frames[0].shape[1]
    return index, height, width
