"""Whether a decoded video is all that its container promised, and undamaged as far as the decoder can tell."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av

from rspnet_platform.videos.display_times import DisplayTimes
from rspnet_platform.videos.limits import DamageTolerance
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

# Durations are rounded, and the last frame's is often left out.
_NUM_FRAMES_ALWAYS_ALLOWED = 2
# They state the duration in their header; others guess it from the file's end.
_FORMATS_WITH_DURATION = ("matroska,webm", "flv")
_MAX_NOT_CODED_BYTES = 19
"""As libav's MAX_NVOP_SIZE: a picture of MPEG-4 of no more than this says that the one before is shown on."""
_PICTURE_START = b"\x00\x00\x01\xb6"


class DecodingRecord:
    """Counts what comes out of a video; `judge` it at the end."""

    def __init__(self, times: DisplayTimes) -> None:
        self.num_frames = 0
        self.times = times
        self._num_damaged_frames = 0
        self._num_damaged_packets = 0
        self._num_hidden_packets = 0
        self._num_not_coded_packets = 0

    def add_packet(self, packet: av.Packet) -> None:
        """A packet can be cut short, or belong to what an edit list hides."""
        self._num_damaged_packets += packet.is_corrupt
        self._num_hidden_packets += packet.is_discard
        self._num_not_coded_packets += _is_not_coded(packet)
        self.times.add_packet(packet)

    def add_frame(self, frame: av.VideoFrame) -> None:
        self.num_frames += 1
        self._num_damaged_frames += frame.is_corrupt
        self.times.add_frame(frame)

    def judge(self, container: Any, stream: Any, frames_per_second: Fraction, tolerance: DamageTolerance) -> None:
        """Raises VideoRefusedError for what is missing, then for what is damaged beyond the tolerance."""
        self._judge_number(stream, tolerance)
        self._judge_time(container, stream, frames_per_second, tolerance)
        self._judge_damage(container, tolerance)

    def _judge_number(self, stream: Any, tolerance: DamageTolerance) -> None:
        """AVI headers count empty chunks as frames, which say that the frame before is shown on; the index does not.
        What an edit list cuts off is in the header too, not in the index. Packets are no frames: some say that nothing
        is new, and two can be the fields of one frame, whose times then leave no gap."""
        num_listed = min(stream.frames, len(stream.index_entries))
        num_promised = num_listed - self._num_hidden_packets - self._num_not_coded_packets
        num_missing = num_promised - self.num_frames
        if num_missing > max(_NUM_FRAMES_ALWAYS_ALLOWED, tolerance.max_missing_fraction * num_promised):
            promised = float((stream.duration or 0) * stream.time_base)
            if self.times.missing_seconds(promised) < tolerance.max_missing_fraction * promised:
                return
            detail = f"{self.num_frames} of {num_promised} promised frames decode; {_accepted_missing(tolerance)}"
            raise VideoRefusedError(RefusalReason.INCOMPLETE, detail)

    def _judge_time(self, container: Any, stream: Any, frames_per_second: Fraction, tolerance: DamageTolerance) -> None:
        promised = promised_seconds(container, stream)
        covered = self.times.covered_seconds
        if promised is None or covered is None:
            return
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
    of_all_streams = container.duration / av.time_base if container.duration else None
    if (tagged := _tagged_seconds(stream.metadata)) is not None:  # no stream is longer than the file: the tag is stale
        return (tagged if of_all_streams is None else min(tagged, of_all_streams)) - start
    if len(container.streams) == 1 and of_all_streams is not None:
        return of_all_streams - start
    return None


def _tagged_seconds(metadata: Mapping[str, str]) -> float | None:
    """Matroska's tag. `DURATION-eng` and the like are another program's, and older where both are there."""
    names = sorted((name for name in metadata if name.split("-")[0] == "DURATION"), key=len)
    match = re.fullmatch(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)", metadata[names[0]]) if names else None
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _is_not_coded(packet: av.Packet) -> bool:
    if not 0 < packet.size <= _MAX_NOT_CODED_BYTES or packet.stream.codec_context.name != "mpeg4":
        return False
    return bytes(packet).startswith(_PICTURE_START)


def _accepted_missing(tolerance: DamageTolerance) -> str:
    fraction = tolerance.max_missing_fraction
    return f"accepted: up to {fraction:.1%} or {_NUM_FRAMES_ALWAYS_ALLOWED} frames less (max_missing_fraction)"
