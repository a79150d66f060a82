"""When decoded frames are shown, whatever their container makes of it. Times are in ticks of the stream."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.format import Flags

from rspnet_platform.videos.limits import MAX_STATED_FRAMES_PER_SECOND, MIN_STATED_FRAMES_PER_SECOND

MAX_NUM_REORDERED = 16
"""Frames that a decoder of H.264 or HEVC holds back, at the most."""
MAX_STEP_SECONDS = 10
"""As ffmpeg's `dts_delta_threshold`: where times are a clock that may be set, more than this between two frames is a
jump of the clock, not time in which a frame is shown."""
_DIFFERING_RATE = Fraction(5, 4)
"""A header's rate is exact where it is right; further from the measured one than this it is wrong."""


def has_jumping_clock(container: Any) -> bool:
    """MPEG-TS, MPEG-PS and the like: recordings are joined there without setting their times anew."""
    return bool(container.format.flags & Flags.ts_discont.value)


def in_display_order(container: Any, frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """The frames, which come as they are shown, with times that rise. AVI has no display times: libav gives each frame
    the place of its packet, in the order of decoding."""
    return _sorted_times(frames) if container.format.name == "avi" else iter(frames)


def _sorted_times(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    waiting: deque[av.VideoFrame] = deque()
    ticks: list[int] = []
    for frame in frames:
        waiting.append(frame)
        if frame.pts is not None:
            heapq.heappush(ticks, frame.pts)
        if len(waiting) > MAX_NUM_REORDERED:
            yield _timed(waiting.popleft(), ticks)
    while waiting:
        yield _timed(waiting.popleft(), ticks)


def _timed(frame: av.VideoFrame, ticks: list[int]) -> av.VideoFrame:
    if frame.pts is not None:
        frame.pts = heapq.heappop(ticks)
    return frame


class DisplayTimes:
    """Of a video while it is decoded; its numbers are of all frames once that is over."""

    def __init__(self, time_base: Fraction, *, has_jumping_clock: bool) -> None:
        self._time_base, self._has_jumping_clock = time_base, has_jumping_clock
        self._ticks: list[int] = []
        self._end_tick = 0
        self._first_packet_tick: int | None = None

    def add_packet(self, packet: av.Packet) -> None:
        if packet.pts is not None and packet.size and not packet.is_discard:
            first = self._first_packet_tick
            self._first_packet_tick = packet.pts if first is None else min(first, packet.pts)

    def add_frame(self, frame: av.VideoFrame) -> None:
        if frame.pts is not None:
            self._ticks.append(frame.pts)
            self._end_tick = max(self._end_tick, frame.pts + (frame.duration or 0))

    @property
    def covered_seconds(self) -> float | None:
        """From the first frame's time to the last one's end; None where no frame has a time."""
        return float((self._end_tick - min(self._ticks)) * self._time_base) if self._ticks else None

    @property
    def num_jumps(self) -> int:
        """Of the clock, forward."""
        return int((~self._shown(self._steps())).sum())

    def missing_seconds(self, promised_seconds: float) -> float:
        """Before the first frame, where more time than usual lies between two, and after the last."""
        steps = self._steps()
        steps = steps[self._shown(steps)]
        covered = self.covered_seconds
        if not len(steps) or self._first_packet_tick is None or covered is None:
            return float("inf")
        usual = float(np.median(steps))
        gaps = (steps - usual)[steps > 1.5 * usual].sum()
        before = max(0, min(self._ticks) - self._first_packet_tick)
        return float((before + int(gaps)) * self._time_base) + max(0.0, promised_seconds - covered)

    def rate(self, stated: Fraction) -> Fraction:
        """Frames per second: as stated, unless the frames' times say something else that can be."""
        steps = self._steps()
        steps = steps[self._shown(steps)]
        if not (total := int(steps.sum())):
            return stated
        measured = len(steps) / (total * self._time_base)
        if not MIN_STATED_FRAMES_PER_SECOND <= measured <= MAX_STATED_FRAMES_PER_SECOND:
            return stated
        if measured / _DIFFERING_RATE <= stated <= measured * _DIFFERING_RATE:
            return stated
        return measured.limit_denominator(1001)

    def _steps(self) -> np.ndarray:
        """int64, of zero or more: a recording that begins anew in the middle lies over the one before."""
        return np.diff(np.sort(np.asarray(self._ticks, dtype=np.int64)))

    def _shown(self, steps: np.ndarray) -> np.ndarray:
        if not self._has_jumping_clock:
            return np.ones(len(steps), dtype=bool)
        return steps <= MAX_STEP_SECONDS / self._time_base
