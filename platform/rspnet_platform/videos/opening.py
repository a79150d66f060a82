"""Opens the container of an untrusted video and chooses the stream to decode."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, BinaryIO

import av
from av.error import FFmpegError
from av.stream import Disposition

from rspnet_platform.videos.limits import MAX_STATED_FRAMES_PER_SECOND, MIN_STATED_FRAMES_PER_SECOND, VideoLimits
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

_DEFAULT_FRAMES_PER_SECOND = Fraction(25)
# The cover of a piece of music, the preview of a film.
_STILL_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails


@contextmanager
def open_stream(video: BinaryIO | bytes, limits: VideoLimits) -> Iterator[tuple[Any, Any]]:
    """(container, its best video stream), ready to decode. Raises VideoRefusedError where there is none."""
    options = {
        "protocol_whitelist": "none",  # a playlist that calls itself .mp4 must not make libav open anything else
        "max_pixels": str(limits.max_pixels_per_frame),  # libav decodes some frames to learn what the file is
    }
    file = io.BytesIO(video) if isinstance(video, bytes) else video
    try:
        container = av.open(file, "r", options=options)
    except (FFmpegError, ValueError, OSError) as error:
        raise VideoRefusedError(RefusalReason.UNREADABLE, describe_error(error)) from error
    with container:
        stream = _best_stream(container)
        context = stream.codec_context
        if context is None:
            raise VideoRefusedError(RefusalReason.UNSUPPORTED, "there is no decoder for its codec")
        check_size(context.width, context.height, limits)
        # Its decoder tells of some data that ends early only where it has slices to wait for.
        context.thread_count = 2 if context.name == "vp8" else 1
        context.options = {"max_pixels": options["max_pixels"]}
        yield container, stream


def check_size(width: int, height: int, limits: VideoLimits) -> None:
    """Raises VideoRefusedError for a picture that is too large."""
    if width * height > limits.max_pixels_per_frame:
        detail = f"a frame of {width}x{height}; accepted: up to {limits.max_pixels_per_frame} pixels"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)


def average_rate(stream: Any) -> Fraction:
    """Frames per second as the container states them; 25 where the container states nothing or nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and MIN_STATED_FRAMES_PER_SECOND <= rate <= MAX_STATED_FRAMES_PER_SECOND:
            return Fraction(rate).limit_denominator(1001)
    return _DEFAULT_FRAMES_PER_SECOND


def describe_error(error: Exception) -> str:
    """libav's own words; its messages end with the name of the call, which tells a user nothing."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _best_stream(container: Any) -> Any:
    """libav's choice, by what the file marks as default and by bit rate, unless that is a still picture."""
    best = container.streams.best("video")
    if best is not None and not best.disposition & _STILL_PICTURES:
        return best
    films = [stream for stream in container.streams.video if not stream.disposition & _STILL_PICTURES]
    if films:
        return films[0]
    kinds = {"still picture" if stream.type == "video" else stream.type for stream in container.streams}
    raise VideoRefusedError(RefusalReason.NO_VIDEO_STREAM, f"streams found: {', '.join(sorted(kinds)) or 'none'}")
