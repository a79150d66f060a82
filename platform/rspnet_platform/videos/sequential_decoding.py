"""Decodes a video of any kind from its first frame to its last: the one way of reading that is always right.

Seeking readers return wrong frames for open groups of pictures, variable frame rates, edit lists and packed
B-frames. Nothing here seeks, and all frame counts are counts of decoded frames.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from jaxtyping import UInt8

from rspnet_platform.shards.i420 import frame_to_i420
from rspnet_platform.videos.input_facts import InputFacts
from rspnet_platform.videos.limits import VideoLimits
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

_DEFAULT_FRAMES_PER_SECOND = Fraction(25)
_MAX_LONG_SIDE = 8192
# A playlist that calls itself .mp4 must not make libav open other files or addresses.
_OPEN_OPTIONS = {"protocol_whitelist": "none"}


@dataclass(frozen=True, kw_only=True)
class OpenedVideo:
    """`frames` yields I420 uint8 pictures of [height * 3 // 2, width]: upright, all of one size, in limited
    range and BT.601. It raises VideoRefusedError where the video turns out unusable."""

    frames_per_second: Fraction
    facts: InputFacts
    frames: Iterator[UInt8[np.ndarray, "planes_height width"]]


@contextmanager
def open_video(video: BinaryIO | bytes, *, short_side: int, limits: VideoLimits | None = None) -> Iterator[OpenedVideo]:
    """Opens the best video stream of a file object or of bytes; paths are not taken, since libav would
    interpret them.

    Rotation is applied, the shorter side is scaled to `short_side` (even), the longer keeps the aspect ratio
    to the nearest even number. Raises VideoRefusedError when it cannot be opened or holds no video stream.
    """
    file = io.BytesIO(video) if isinstance(video, bytes) else video
    try:
        container = av.open(file, "r", options=_OPEN_OPTIONS)
    except (FFmpegError, ValueError, OSError) as error:
        raise VideoRefusedError(RefusalReason.UNREADABLE, _describe(error)) from error
    with container:
        stream = container.streams.best("video")
        if stream is None:
            kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "none"
            raise VideoRefusedError(RefusalReason.NO_VIDEO_STREAM, f"streams found: {kinds}")
        stream.codec_context.thread_count = 1
        frames = _upright_pictures(container, stream, short_side, limits or VideoLimits())
        yield OpenedVideo(frames_per_second=_frames_per_second(stream), facts=_facts(container, stream), frames=frames)


def _facts(container: Any, stream: Any) -> InputFacts:
    """What is known before decoding: `num_frames` is 0 until someone has counted."""
    context = stream.codec_context
    return InputFacts(
        codec=context.name,
        pixel_format=context.pix_fmt or "unknown",
        height=context.height,
        width=context.width,
        frames_per_second=float(_frames_per_second(stream)),
        num_frames=0,
        num_frames_promised=stream.frames or None,
        num_bytes=container.size,
    )


def _frames_per_second(stream: Any) -> Fraction:
    """The average rate, unless the container states nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and Fraction(1, 10) <= rate <= 480:
            return Fraction(rate).limit_denominator(1001)
    return _DEFAULT_FRAMES_PER_SECOND


def _upright_pictures(container: Any, stream: Any, short_side: int, limits: VideoLimits) -> Iterator:
    context = stream.codec_context
    _check_size(context.width, context.height, limits)
    reformatter = VideoReformatter()
    size: tuple[int, int] | None = None
    quarter_turns = num_damaged = num_frames = 0
    for frame in _decoded_frames(container, stream):
        num_frames += 1
        num_damaged += frame.is_corrupt
        if num_frames > limits.max_num_frames:
            detail = f"more than {limits.max_num_frames} frames; accepted: up to that"
            raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)
        _check_size(frame.width, frame.height, limits)
        if size is None:
            size = _target_size(frame.width, frame.height, short_side)
            quarter_turns = round(frame.rotation / 90) % 4
        yield _rotate(_scale(reformatter, frame, size), quarter_turns)
    if not num_frames:
        raise VideoRefusedError(RefusalReason.DECODE_ERROR, "no frame could be decoded")
    if num_damaged * 2 > num_frames:
        detail = f"the decoder marks {num_damaged} of {num_frames} frames as damaged; accepted: up to half"
        raise VideoRefusedError(RefusalReason.DECODE_ERROR, detail)


def _decoded_frames(container: Any, stream: Any) -> Iterator[av.VideoFrame]:
    num_frames = 0
    try:
        for packet in container.demux(stream):
            if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
                raise VideoRefusedError(RefusalReason.ENCRYPTED, "the packets carry encryption information")
            for frame in packet.decode():
                yield frame
                num_frames += 1
    except (FFmpegError, ValueError, OSError) as error:
        detail = f"after {num_frames} frames: {_describe(error)}"
        raise VideoRefusedError(RefusalReason.DECODE_ERROR, detail) from error


def _check_size(width: int, height: int, limits: VideoLimits) -> None:
    if width * height > limits.max_pixels_per_frame:
        detail = f"a frame of {width}x{height}; accepted: up to {limits.max_pixels_per_frame} pixels"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)


def _target_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """(width, height) before rotation, both even, which 4:2:0 needs."""
    scale = short_side / min(width, height)
    target_width, target_height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    if max(target_width, target_height) > _MAX_LONG_SIDE:
        detail = f"{width}x{height} scales to {target_width}x{target_height}; accepted: {_MAX_LONG_SIDE} a side"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)
    return target_width, target_height


def _scale(reformatter: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    is_full_range = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    scaled = reformatter.reformat(
        frame,
        *size,
        "yuv420p",
        dst_colorspace=Colorspace.ITU601,
        src_color_range=ColorRange.JPEG if is_full_range else ColorRange.MPEG,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
    return frame_to_i420(scaled)


def _rotate(picture: np.ndarray, quarter_turns: int) -> np.ndarray:
    """Turns each plane counterclockwise, as `frame.rotation` counts."""
    if not quarter_turns:
        return picture
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    flat, luma, chroma = picture.reshape(-1), height * width, height * width // 4
    planes = [flat[:luma].reshape(height, width)]
    for start in (luma, luma + chroma):
        planes.append(flat[start : start + chroma].reshape(height // 2, width // 2))
    turned = np.concatenate([np.rot90(plane, quarter_turns).reshape(-1) for plane in planes])
    return turned.reshape(-1, height if quarter_turns % 2 else width)


def _describe(error: Exception) -> str:
    """libav's own words; its messages end with the name of the call, which tells a user nothing."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
