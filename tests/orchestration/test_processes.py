"""The tests' own look at processes, which come and go while they are looked at."""

import os
import subprocess
import sys

import psutil

from tests.processes import descendants, running

SLEEP = [sys.executable, "-c", "import sys; sys.stdin.read()", "a_name_of_its_own"]


def test_a_process_that_ended_and_was_not_waited_for_is_not_running() -> None:
    """A zombie: psutil raises for its command line."""
    with (
        subprocess.Popen(SLEEP, stdin=subprocess.PIPE) as ended,
        subprocess.Popen(SLEEP, stdin=subprocess.PIPE) as alive,
    ):
        ended.kill()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        both = [psutil.Process(ended.pid), psutil.Process(alive.pid)]
        assert both[0].status() == psutil.STATUS_ZOMBIE
        assert running(both, "a_name_of_its_own") == [both[1]]
        assert descendants(os.getpid(), "a_name_of_its_own") == [both[1]]
        alive.kill()
