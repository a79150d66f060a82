"""Whether a decoded video is all that its container promised, and undamaged as far as the decoder can tell."""

import re
from fractions import Fraction
from typing import Any

import av

from rspnet_platform.videos.limits import DamageTolerance
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

# Durations are rounded, and the last frame's is often left out.
_NUM_FRAMES_ALWAYS_ALLOWED = 2
# They state the duration in their header; others guess it from the file's end.
_FORMATS_WITH_DURATION = ("matroska,webm", "flv")


class DecodingRecord:
    """Counts what comes out of a video; `judge` it at the end. Presentation times are in ticks of the stream."""

    def __init__(self) -> None:
        self.num_frames = 0
        self._num_damaged_frames = 0
        self._num_damaged_packets = 0
        self._num_hidden_packets = 0
        self._first_tick: int | None = None
        self._end_tick = 0

    def add_packet(self, packet: av.Packet) -> None:
        """A packet can be cut short, or belong to what an edit list hides."""
        self._num_damaged_packets += packet.is_corrupt
        self._num_hidden_packets += packet.is_discard

    def add_frame(self, frame: av.VideoFrame) -> None:
        self.num_frames += 1
        self._num_damaged_frames += frame.is_corrupt
        if frame.pts is not None:
            self._first_tick = frame.pts if self._first_tick is None else min(self._first_tick, frame.pts)
            self._end_tick = max(self._end_tick, frame.pts + (frame.duration or 0))

    def judge(self, container: Any, stream: Any, frames_per_second: Fraction, tolerance: DamageTolerance) -> None:
        """Raises VideoRefusedError for what is missing, then for what is damaged beyond the tolerance."""
        self._judge_number(stream, tolerance)
        self._judge_time(container, stream, frames_per_second, tolerance)
        self._judge_damage(container, tolerance)

    def _judge_number(self, stream: Any, tolerance: DamageTolerance) -> None:
        """AVI headers count empty chunks as frames, which say that the frame before is shown on; the index does not.
        What an edit list cuts off is in the header too, not in the index."""
        num_promised = min(stream.frames, len(stream.index_entries)) - self._num_hidden_packets
        num_missing = num_promised - self.num_frames
        if num_missing > max(_NUM_FRAMES_ALWAYS_ALLOWED, tolerance.max_missing_fraction * num_promised):
            detail = f"{self.num_frames} of {num_promised} promised frames decode; {_accepted_missing(tolerance)}"
            raise VideoRefusedError(RefusalReason.INCOMPLETE, detail)

    def _judge_time(self, container: Any, stream: Any, frames_per_second: Fraction, tolerance: DamageTolerance) -> None:
        promised = promised_seconds(container, stream)
        if promised is None or self._first_tick is None:
            return
        covered = float((self._end_tick - self._first_tick) * stream.time_base)
        always_allowed = _NUM_FRAMES_ALWAYS_ALLOWED / float(frames_per_second)
        if promised - covered > max(always_allowed, tolerance.max_missing_fraction * promised):
            detail = (
                f"{self.num_frames} decoded frames cover {covered:.2f} of {promised:.2f} promised seconds;"
                f" {_accepted_missing(tolerance)}"
            )
            raise VideoRefusedError(RefusalReason.INCOMPLETE, detail)

    def _judge_damage(self, container: Any, tolerance: DamageTolerance) -> None:
        num_damaged = self._num_damaged_frames
        if container.format.name != "mpegts":  # recordings that were joined mark their first packet
            num_damaged = max(num_damaged, self._num_damaged_packets)
        if num_damaged > tolerance.max_damaged_fraction * self.num_frames:
            detail = (
                f"{num_damaged} of {self.num_frames} frames are damaged;"
                f" accepted: up to {tolerance.max_damaged_fraction:.1%} (max_damaged_fraction)"
            )
            raise VideoRefusedError(RefusalReason.DAMAGED, detail)


def promised_seconds(container: Any, stream: Any) -> float | None:
    """How long the container says that the stream is; None where it does not say, or says it of another stream."""
    if container.format.name == "avi" and stream.frames and stream.average_rate:
        return float(stream.frames / stream.average_rate)  # the duration would be guessed from the file's size
    if stream.frames:
        return None if stream.duration is None else float(stream.duration * stream.time_base)
    if container.format.name not in _FORMATS_WITH_DURATION:
        return None
    start = float((stream.start_time or 0) * stream.time_base)
    tag = next((value for name, value in stream.metadata.items() if name.split("-")[0] == "DURATION"), "")
    if match := re.fullmatch(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)", tag):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - start
    if len(container.streams) == 1 and container.duration:
        return container.duration / av.time_base - start
    return None


def _accepted_missing(tolerance: DamageTolerance) -> str:
    fraction = tolerance.max_missing_fraction
    return f"accepted: up to {fraction:.1%} or {_NUM_FRAMES_ALWAYS_ALLOWED} frames less (max_missing_fraction)"
