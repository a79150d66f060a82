"""Ctrl-C belongs to the job again once Ray Train has ended."""

import signal
import threading
from collections.abc import Iterator

import pytest
from rspnet_platform.train.interrupt_handler import kept_interrupt_handler


def training_that_fails() -> None:
    """And takes Ctrl-C for itself, as Ray Train does."""
    with kept_interrupt_handler():
        signal.signal(signal.SIGINT, lambda *_: None)
        raise RuntimeError("training failed")


@pytest.fixture
def python_handler() -> Iterator[None]:
    """Python's own: what a shell starts in the background inherits that Ctrl-C is ignored."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("python_handler")
def test_a_handler_that_was_taken_is_put_back():
    """Also where the training fails: the next Ctrl-C interrupts the job."""
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="training failed"):
        training_that_fails()
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_threads_leave_it_alone():
    """A sweep's trial trains in one, where Python allows no handlers."""
    done = []

    def train() -> None:
        with kept_interrupt_handler():
            done.append(True)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert done == [True]
