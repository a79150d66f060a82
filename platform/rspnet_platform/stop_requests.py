"""Ctrl-C and SIGTERM, alike in every job and phase: the first stops the job in order, the second at once.

SIGTERM is what Kubernetes, Slurm and `ray job stop` send before they kill. A training ends after its step, with a
checkpoint; everything else is broken off where it is.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

MIN_SECONDS_BETWEEN = 0.2
"""Two signals that come closer are one: a terminal and a launcher may both hand the same one on."""


class JobStopped(KeyboardInterrupt):
    """`where` it was stopped, as in " at step 7". `more_arguments`: what the same command needs beside, to go on."""

    def __init__(self, where: str = "", more_arguments: str = "") -> None:
        super().__init__(where)
        self.where, self.more_arguments = where, more_arguments


class StopRequests:
    """Of this process. `signal_number` is that of the first signal, None until there is one."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.failure: str | None = None
        self._handles_signals = False
        self._first_seconds = 0.0
        self._is_overdue = False
        self._in_order: threading.Event | None = None

    def handle_signals(self) -> None:
        """From now on. In the main thread alone, as Python wants it."""
        self._handles_signals = True
        for number in SIGNALS:
            signal.signal(number, self._on_signal)

    def handle_signals_again(self) -> None:
        """After something else, such as Ray, has taken them for itself."""
        if self._handles_signals and threading.current_thread() is threading.main_thread():
            self.handle_signals()

    @property
    def sender(self) -> str:
        return SIGNALS.get(signal.Signals(self.signal_number or signal.SIGINT), "a signal")

    @property
    def exit_status(self) -> int:
        """130 for Ctrl-C and 143 for SIGTERM, as shells have it; 1 for a failure."""
        if self.failure is not None:
            return 1
        return 128 + (self.signal_number or signal.SIGINT)

    def break_off(self, failure: str) -> None:
        """From any thread, for what makes all further work of the job vain: KeyboardInterrupt in the main one. Where
        the signals are not this object's, nothing happens."""
        if self._handles_signals:
            self.failure, self._is_overdue = failure, True
            self._wake_main_thread(signal.SIGINT)

    @staticmethod
    def _wake_main_thread(number: int) -> None:
        """A real signal, which ends what it waits for."""
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    @contextlib.contextmanager
    def stopping_in_order(self, ask: Callable[[], None], *, max_seconds: float) -> Iterator[None]:
        """In the block a first signal breaks nothing off: a thread calls `ask`, and the block is to end by itself.
        KeyboardInterrupt after `max_seconds`."""
        requested, ended = threading.Event(), threading.Event()
        thread = threading.Thread(target=self._follow, args=(requested, ended, ask, max_seconds), daemon=True)
        thread.start()
        before, self._in_order = self._in_order, requested
        try:
            yield
            if self.signal_number is not None:  # it had come to its end before it heard of that
                raise KeyboardInterrupt
        finally:
            self._in_order = before
            ended.set()
            requested.set()
            thread.join(timeout=1.0)

    def _follow(
        self, requested: threading.Event, ended: threading.Event, ask: Callable[[], None], max_seconds: float
    ) -> None:
        requested.wait()
        if ended.is_set():
            return
        with contextlib.suppress(Exception):  # it is then broken off below
            ask()
        if not ended.wait(max_seconds):
            self._is_overdue = True
            self._wake_main_thread(self.signal_number or signal.SIGINT)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._is_overdue:
            self._is_overdue = False
        elif self.signal_number is None:
            self.signal_number, self._first_seconds = number, now
            if self._in_order is not None:
                self._in_order.set()
                return
        elif now - self._first_seconds < MIN_SECONDS_BETWEEN:
            return
        else:
            os.write(2, f"\nended at once by a second {SIGNALS[signal.Signals(number)]}\n".encode())
            os._exit(128 + number)  # what it started ends with it
        raise KeyboardInterrupt


STOP_REQUESTS = StopRequests()


def stop_message(stop: BaseException, *, goes_on: bool) -> str:
    """For who started the job. `goes_on`: the same command does, and does not begin anew."""
    if STOP_REQUESTS.failure is not None:
        return f"error: {STOP_REQUESTS.failure}"
    stop = stop if isinstance(stop, JobStopped) else JobStopped()
    more = f" with {stop.more_arguments}" if stop.more_arguments else ""
    return f"stopped by {STOP_REQUESTS.sender}{stop.where}" + (f"; the same command{more} goes on" if goes_on else "")


@contextlib.contextmanager
def goes_on_with(more_arguments: str) -> Iterator[None]:
    """Where the same command alone would begin something new."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise JobStopped(stop.where if isinstance(stop, JobStopped) else "", more_arguments) from stop
