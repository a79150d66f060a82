"""Frames at a constant rate out of frames at any times: each instant takes the frame that is shown then."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av


def at_constant_rate(
    frames: Iterable[av.VideoFrame], rate: Fraction, nominal_rate: Fraction, max_step_seconds: float | None = None
) -> Iterator[av.VideoFrame]:
    """The frames shown at 0, 1 / rate, 2 / rate, ... seconds after the first one's time, until the last one ends.

    Frames are repeated where they are shown for long and left out where they are not shown at any of these instants.
    A frame without a time, or with one before its predecessor's, follows its predecessor at `nominal_rate`, and so
    does one more than `max_step_seconds` after it, with all that comes after: a clock was set. Without that, gaps of
    any length count as time in which the frame before is shown: the caller limits the number of frames.
    """
    nominal_seconds = 1 / nominal_rate
    shown: av.VideoFrame | None = None
    start = now = slack = skipped = Fraction(0)
    num_given = 0
    for frame in frames:
        if shown is None:
            start = now = _time_of(frame) or Fraction(0)
            # Containers round times to their own tick: 0.067 s is the instant 2 / 30 s.
            slack = min(frame.time_base or Fraction(0), nominal_seconds / 4)
        else:
            before, now = now, _next_time(frame, now + skipped, nominal_seconds) - skipped
            if max_step_seconds is not None and now - before > max_step_seconds:
                skipped += now - before - nominal_seconds
                now = before + nominal_seconds
            while num_given / rate < now - start - slack:
                yield shown
                num_given += 1
        shown = frame
    if shown is None:
        return
    duration = shown.duration * shown.time_base if shown.duration and shown.time_base else nominal_seconds
    while num_given == 0 or num_given / rate < now + duration - start - slack:
        yield shown
        num_given += 1


def _next_time(frame: av.VideoFrame, previous: Fraction, nominal_seconds: Fraction) -> Fraction:
    time = _time_of(frame)
    return time if time is not None and time >= previous else previous + nominal_seconds


def _time_of(frame: av.VideoFrame) -> Fraction | None:
    return None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
