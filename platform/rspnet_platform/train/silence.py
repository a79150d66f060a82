"""Says which training worker has not reported, and since when, where Ray only waits."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rspnet_platform.command_line import say
from rspnet_platform.train.pulse import PulseBoard

MAX_SILENT_SECONDS = "RSPNET_MAX_SILENT_SECONDS"
"""The environment variable; without it 90."""

SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(kw_only=True)
class SilenceWatch:
    """Looks at the ranks' beats, by this process's own clock: those of nodes may differ."""

    max_seconds: float
    _seen: dict[int, tuple[dict[str, Any], float]] = field(default_factory=dict)
    _moved: tuple[int, float] | None = None
    _said: set[int] = field(default_factory=set)
    _said_of_all: bool = False

    def look(self, beats: Mapping[int, dict[str, Any]], now: float) -> list[str]:
        """What is to be said, once for each silence and once for its end."""
        lines = []
        for rank, beat in sorted(beats.items()):
            before, since = self._seen.get(rank, (None, now))
            if beat != before:
                self._seen[rank] = beat, now
                if rank in self._said:
                    self._said.discard(rank)
                    lines.append(f"rank {rank} reports again, after {now - since:.0f} s")
            elif now - since >= self.max_seconds and rank not in self._said:
                self._said.add(rank)
                lines.append(
                    f"rank {rank} (node {beat['node']}, process {beat['pid']}) has not reported for "
                    f"{now - since:.0f} s: its last step was {beat['step']}. Its process is stopped or its node is not "
                    "reached; the training waits for it. The job may be stopped, and the same command goes on"
                )
        return lines + ([] if self._said else self._steps(beats, now))

    def _steps(self, beats: Mapping[int, dict[str, Any]], now: float) -> list[str]:
        """Of workers that are all alive, and take no step."""
        if not beats:
            return []
        step = min(beat["step"] for beat in beats.values())
        if self._moved is None or step != self._moved[0]:
            self._moved, self._said_of_all = (step, now), False
        elif now - self._moved[1] >= self.max_seconds and not self._said_of_all:
            self._said_of_all = True
            seconds = now - self._moved[1]
            return [f"no training worker has taken a step for {seconds:.0f} s, since step {step}; all are alive"]
        return []


def max_silent_seconds() -> float:
    """Raises ValueError for what is no number above 0."""
    text = os.environ.get(MAX_SILENT_SECONDS, "90")
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{MAX_SILENT_SECONDS} is {text!r}; accepted are seconds above 0")
    return seconds


@contextmanager
def saying_who_is_silent(board: PulseBoard, write: Callable[[str], None] = say) -> Iterator[None]:
    """In a thread, for as long as the block takes. A cluster that does not answer is not its concern."""
    watch, ended = SilenceWatch(max_seconds=max_silent_seconds()), threading.Event()

    def follow() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            try:
                beats = board.read()
            except Exception:
                continue
            for line in watch.look(beats, time.monotonic()):
                write(line)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)
