"""Ctrl-C and SIGTERM: what a job says and ends with, in order at the first one and at once at the second."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rspnet_platform.stop_requests import MIN_SECONDS_BETWEEN, StopRequests

ROOT = Path(__file__).resolve().parents[2]
WORKING = "print('working', flush=True); time.sleep(60)"


@pytest.fixture
def requests() -> Iterator[StopRequests]:
    """In this process, whose own handlers come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    requests = StopRequests()
    requests.handle_signals()
    yield requests
    for number, handler in before.items():
        signal.signal(number, handler)


def stopped(body: str, *numbers: int, options: str = "") -> tuple[int, str]:
    """Exit status and standard error of a job that gets the signals, one once it works, another a second later."""
    code = (
        f"import sys, time; sys.path.insert(0, {str(ROOT / 'platform')!r})\n"
        "from rspnet_platform.command_line import run_job\n"
        f"def work(config):\n    {body}\n    return {{}}\nrun_job(list, work{options})"
    )
    job = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert job.stderr is not None
    assert any("working" in line for line in iter(job.stderr.readline, ""))
    for number in numbers:
        job.send_signal(number)
        time.sleep(2 * MIN_SECONDS_BETWEEN)
    return job.wait(30), job.stderr.read()


@pytest.mark.parametrize(
    ("number", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
def test_a_signal_ends_a_job_with_one_line_and_its_status(number: int, status: int, name: str) -> None:
    """SIGTERM as Ctrl-C; no traceback, no native stack."""
    assert stopped(WORKING, number) == (status, f"stopped by {name}; the same command goes on\n")


def test_a_thread_that_is_broken_off_says_nothing() -> None:
    """As one that imports torch while the job is stopped, and fails over what has taken its leave."""
    body = [
        "import atexit, threading",
        "leaving = threading.Event()",
        "atexit.register(lambda: (leaving.set(), time.sleep(0.5)))",
        "threading.Thread(target=lambda: (leaving.wait(), 1 / 0), daemon=True).start()",
        WORKING,
    ]
    assert stopped("\n    ".join(body), signal.SIGINT) == (130, "stopped by Ctrl-C; the same command goes on\n")


def test_a_job_that_begins_anew_does_not_say_that_it_goes_on() -> None:
    """Promotion and pictures."""
    assert stopped(WORKING, signal.SIGINT, options=", goes_on=False") == (130, "stopped by Ctrl-C\n")


def test_sigterm_while_ray_starts_is_said_as_any_other() -> None:
    """Ray's own handler raises SystemExit with the signal's number."""
    status, said = stopped("print('working', flush=True); sys.exit(15)")
    assert (status, said) == (143, "stopped by SIGTERM; the same command goes on\n")


def test_a_second_signal_ends_a_job_at_once() -> None:
    """Also where the first one's clean-up hangs."""
    hanging = "\n    ".join(["try:", f"    {WORKING}", "finally:", "    time.sleep(60)"])
    status, said = stopped(hanging, signal.SIGINT, signal.SIGINT)
    assert (status, said.strip()) == (130, "ended at once by a second Ctrl-C")


def test_a_block_that_stops_in_order_is_asked_and_not_broken_off(requests: StopRequests) -> None:
    """It ends by itself, and the job ends after it."""
    asked, left = threading.Event(), []

    def train() -> None:
        with requests.stopping_in_order(asked.set, max_seconds=30.0):
            os.kill(os.getpid(), signal.SIGTERM)
            left.append(asked.wait(30.0))

    with pytest.raises(KeyboardInterrupt):
        train()
    assert left == [True]
    assert (requests.sender, requests.exit_status) == ("SIGTERM", 143)


def test_a_block_that_does_not_end_is_broken_off(requests: StopRequests) -> None:
    """After the seconds that it has for it; also where it could not even be asked."""

    def fail() -> None:
        raise ConnectionError("no cluster")

    def train() -> None:
        with requests.stopping_in_order(fail, max_seconds=0.1):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)

    with pytest.raises(KeyboardInterrupt):
        train()


def test_a_block_that_ends_undisturbed_leaves_nothing(requests: StopRequests) -> None:
    """A later signal breaks off what it meets."""

    def train() -> None:
        with requests.stopping_in_order(lambda: None, max_seconds=30.0):
            pass
        assert requests.signal_number is None
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train()


def test_a_signal_that_is_handed_on_twice_counts_once(requests: StopRequests) -> None:
    """By a terminal and by a launcher, say: the second does not end the clean-up."""
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    assert requests.exit_status == 130


def test_what_has_taken_the_signals_gives_them_back(requests: StopRequests) -> None:
    """Ray does so when it starts; a process that has not asked for them is left alone."""
    signal.signal(signal.SIGTERM, lambda *_: None)
    StopRequests().handle_signals_again()
    signal.raise_signal(signal.SIGTERM)
    requests.handle_signals_again()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
