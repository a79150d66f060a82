"""Ctrl-C, given back when a training has ended."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def kept_interrupt_handler() -> Iterator[None]:
    """Ray Train takes SIGINT for itself and never gives it back: the handler would hold on to the controller and all
    actors behind it, and a Ctrl-C after the training would ask that controller to abort."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        # None: set by something that is not Python, and not to be had back.
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
