"""Decodes a video of any kind from its first frame to its last: the one way of reading that is always right.

Seeking readers return wrong frames for open groups of pictures, variable frame rates, edit lists and packed
B-frames. Nothing here seeks, and all frame counts are counts of decoded frames. README.md, beside this file, says
what becomes of each kind of video.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from rspnet_platform.videos.completeness import DecodingRecord
from rspnet_platform.videos.display_times import MAX_STEP_SECONDS, DisplayTimes, has_jumping_clock, in_display_order
from rspnet_platform.videos.input_facts import InputFacts
from rspnet_platform.videos.limits import DamageTolerance, VideoLimits
from rspnet_platform.videos.opening import average_rate, check_size, describe_error, open_stream
from rspnet_platform.videos.orientation import Orientation
from rspnet_platform.videos.picture_conversion import PictureConverter, target_size
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.resampling import at_constant_rate


@dataclass(frozen=True, kw_only=True)
class OpenedVideo:
    """`frames` yields I420 uint8 pictures of [height * 3 // 2, width]: upright, all of one size, in limited
    range and BT.601. It raises VideoRefusedError where the video turns out unusable, at its end for what is missing
    or damaged. `stated_rate` is what the container says of `frames`, or the rate that was asked for."""

    stated_rate: Fraction
    frames: Iterator[UInt8[np.ndarray, "planes_height width"]]
    _facts: InputFacts
    _record: DecodingRecord
    _is_resampled: bool

    @property
    def frames_per_second(self) -> Fraction:
        """Of `frames`, once they are exhausted: as stated, unless the times of the decoded frames say otherwise."""
        return self.stated_rate if self._is_resampled else self._record.times.rate(self.stated_rate)

    @property
    def num_decoded_pixels(self) -> int:
        """So far, of the input."""
        return self._record.num_frames * self._facts.height * self._facts.width

    @property
    def facts(self) -> InputFacts:
        """Of what was decoded so far; complete once `frames` is exhausted."""
        record = self._record
        return replace(
            self._facts,
            frames_per_second=float(record.times.rate(self._facts_rate)),
            num_frames=record.num_frames,
            num_time_jumps=record.times.num_jumps,
        )

    @property
    def _facts_rate(self) -> Fraction:
        return Fraction(self._facts.frames_per_second).limit_denominator(1001)


@contextmanager
def open_video(
    video: BinaryIO | bytes,
    *,
    short_side: int,
    frames_per_second: float | None = None,
    limits: VideoLimits | None = None,
    tolerance: DamageTolerance | None = None,
    num_frames_held: int = 0,
) -> Iterator[OpenedVideo]:
    """Opens the best video stream of a file object or of bytes; paths are not taken, since libav would
    interpret them.

    Rotation is applied, the shorter side is scaled to `short_side` (even), the longer keeps the aspect ratio
    to the nearest even number. With `frames_per_second` frames are repeated and left out by their times, without it
    each decoded frame comes once and their average rate goes with them. `limits` and `tolerance` are the
    defaults where not given. `num_frames_held` is for a second decode (see `videos.reproducibility`). Raises
    VideoRefusedError when it cannot be opened or holds no video stream.
    """
    limits, tolerance = limits or VideoLimits(), tolerance or DamageTolerance()
    with open_stream(video, limits) as (container, stream):
        is_jumping, nominal_rate = has_jumping_clock(container), average_rate(stream)
        record = DecodingRecord(DisplayTimes(stream.time_base, has_jumping_clock=is_jumping))
        frames: Iterable[av.VideoFrame] = _decoded_frames(container, stream, limits, tolerance, record)
        frames, rate = _holding(frames, num_frames_held), nominal_rate
        if frames_per_second is not None:
            rate = Fraction(frames_per_second).limit_denominator(1001)
            max_step_seconds = MAX_STEP_SECONDS if is_jumping else None
            frames = at_constant_rate(in_display_order(container, frames), rate, nominal_rate, max_step_seconds)
            frames = _limited(frames, limits)
        yield OpenedVideo(
            stated_rate=rate,
            frames=_upright_pictures(frames, short_side, stream.metadata),
            _facts=_facts(container, stream),
            _record=record,
            _is_resampled=frames_per_second is not None,
        )


def _facts(container: Any, stream: Any) -> InputFacts:
    context = stream.codec_context
    return InputFacts(
        codec=context.name,
        pixel_format=context.pix_fmt or "unknown",
        height=context.height,
        width=context.width,
        frames_per_second=float(average_rate(stream)),
        num_frames=0,
        num_time_jumps=0,
        num_frames_promised=stream.frames or None,
        num_bytes=container.size,
    )


def _decoded_frames(
    container: Any, stream: Any, limits: VideoLimits, tolerance: DamageTolerance, record: DecodingRecord
) -> Iterator[av.VideoFrame]:
    try:
        for packet in container.demux(stream):
            if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
                raise VideoRefusedError(RefusalReason.ENCRYPTED, "the packets carry encryption information")
            record.add_packet(packet)
            for frame in packet.decode():
                record.add_frame(frame)
                _check_count(record.num_frames, limits)
                check_size(frame.width, frame.height, limits)
                yield frame
            if packet.size == 0 and packet.pts is None and packet.pos is None:
                break  # PyAV asked the decoder for its last frames; beyond, it stumbles over streams that appeared late
    except (FFmpegError, ValueError, OSError) as error:
        detail = f"after {record.num_frames} frames: {describe_error(error)}"
        raise VideoRefusedError(RefusalReason.DECODE_ERROR, detail) from error
    if not record.num_frames:
        raise VideoRefusedError(RefusalReason.DECODE_ERROR, "no frame could be decoded")
    record.judge(container, stream, average_rate(stream), tolerance)


def _upright_pictures(frames: Iterable[av.VideoFrame], short_side: int, metadata: Any) -> Iterator[np.ndarray]:
    """Size and orientation are the first frame's: what changes in mid-stream is scaled to it."""
    converter: PictureConverter | None = None
    orientation, converted, picture = Orientation(), None, np.empty((0, 0), np.uint8)
    for frame in frames:
        if converter is None:
            converter = PictureConverter(target_size(frame.width, frame.height, short_side))
            # Of a copy: PyAV's frames refer to themselves once they were asked for side data, and keep their buffers.
            orientation = Orientation.of(converter.scaled(frame), metadata)
        if frame is not converted:  # else it is shown once more
            picture, converted = orientation.apply(converter.convert(frame)), frame
        yield picture


def _holding(frames: Iterable[av.VideoFrame], num_frames: int) -> Iterator[av.VideoFrame]:
    held: deque[av.VideoFrame] = deque(maxlen=num_frames)
    for frame in frames:
        held.append(frame)
        yield frame


def _limited(frames: Iterable[av.VideoFrame], limits: VideoLimits) -> Iterator[av.VideoFrame]:
    for num_frames, frame in enumerate(frames, start=1):
        _check_count(num_frames, limits)
        yield frame


def _check_count(num_frames: int, limits: VideoLimits) -> None:
    if num_frames > limits.max_num_frames:
        detail = f"more than {limits.max_num_frames} frames; accepted: up to that"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)
