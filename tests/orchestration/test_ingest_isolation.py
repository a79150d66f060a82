"""A child process that dies or hangs costs its own argument only. The faults are real."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from rspnet_platform.ingest import decoding_time
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.isolated_child import ChildProcessesError, IsolatedChild, IsolationFailure, earn_seconds
from rspnet_platform.ingest.isolation import IsolatedMap
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.storage import StorageError
from rspnet_platform.videos.refusal_reasons import RefusalReason

from tests.processes import running
from tests.videos import encode_video, moving_pictures

REPOSITORY = Path(__file__).resolve().parents[2]


def isolated_children() -> list[psutil.Process]:
    """Those of this process that are alive; other tests leave children of other kinds."""
    return running(psutil.Process().children(), "isolated_child")


def misbehave(order: str) -> str:
    """What the child does, by name."""
    if order == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if order == "hang":
        time.sleep(600)
    if order == "exit":
        os._exit(3)
    if order == "raise":
        raise RuntimeError("unforeseen")
    if order == "work":
        for _ in range(6):
            earn_seconds(30)
            time.sleep(0.3)
    if order == "store":
        raise StorageError("cannot read s3://bucket: away")
    return order.upper()


def test_faults_cost_their_own_argument_only() -> None:
    """Crashes, exits, exceptions and time-outs come back in place, all other results in order."""
    orders = ["a", "crash", "b", "hang", "c", "exit", "raise", "d"]
    with IsolatedMap(misbehave, num_processes=2, timeout_seconds=3) as isolated:
        outcomes = list(isolated.run(orders))
    failures = {o: r for o, r in zip(orders, outcomes, strict=True) if isinstance(r, IsolationFailure)}
    assert [r for r in outcomes if isinstance(r, str)] == ["A", "B", "C", "D"]
    assert failures.keys() == {"crash", "hang", "exit", "raise"}
    assert failures["crash"].reason == RefusalReason.CRASHED
    assert "SIGSEGV" in failures["crash"].detail
    assert failures["hang"].reason == RefusalReason.TIMED_OUT
    assert failures["hang"].detail == "no result after 3 seconds; accepted: timeout_seconds, which is 3"
    assert failures["exit"].detail == "the process exited with status 3"
    assert failures["raise"].detail == "RuntimeError: unforeseen"


def test_who_works_earns_time() -> None:
    """More than the time limit is no hang where something comes of it; the next argument begins with nothing earned."""
    with IsolatedMap(misbehave, num_processes=1, timeout_seconds=1) as isolated:
        worked, hung = isolated.run(["work", "hang"])
    assert worked == "WORK"
    assert isinstance(hung, IsolationFailure)
    assert hung.detail == "no result after 1 seconds; accepted: timeout_seconds, which is 1"


def test_decoding_earns_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In proportion to the input's pixels, while it is decoded; a small video earns nothing that is worth a message."""
    earned: list[float] = []
    monkeypatch.setattr(decoding_time, "earn_seconds", earned.append)
    monkeypatch.setattr(decoding_time, "NUM_PIXELS_PER_SECOND", 10 * 48 * 64)
    config = IngestConfig(source="-", output="-", short_side=32)
    transcode(io.BytesIO(encode_video(moving_pictures(35, 48, 64))), config)
    assert 30 <= sum(earned) * 10 <= 35
    assert all(seconds >= 1 for seconds in earned)
    earned.clear()
    transcode(io.BytesIO(encode_video(moving_pictures(9, 48, 64))), config)
    assert earned == []


def test_a_failing_store_is_not_a_bad_video() -> None:
    """A StorageError of a child stops the whole map: every other video would fail the same way."""
    with (
        IsolatedMap(misbehave, num_processes=1, timeout_seconds=60) as isolated,
        pytest.raises(StorageError, match="s3://bucket"),
    ):
        list(isolated.run(["store", "a"]))


def test_a_child_that_dies_idle_costs_nothing() -> None:
    """Between two rounds of work, as on a cluster, the system may kill it for its memory: the next has another."""
    child = IsolatedChild(misbehave, timeout_seconds=60)
    assert child.call("a") == "A"
    [process] = isolated_children()
    assert child.call("b") == "B"
    assert isolated_children() == [process]
    process.kill()
    assert child.call("c") == "C"
    child.stop()


def test_what_cannot_be_pickled_is_a_failure_too() -> None:
    """A result that does not travel is reported, and the child stays in order."""
    with IsolatedMap(make_a_lambda, num_processes=1, timeout_seconds=60) as isolated:
        first, second = isolated.run([1, 2])
    assert isinstance(first, IsolationFailure)
    assert isinstance(second, IsolationFailure)
    assert "pickle" in first.detail


def make_a_lambda(_: int) -> object:
    return lambda: None


def test_leaving_ends_what_hangs() -> None:
    """Whoever leaves the block early, as with Ctrl-C, neither waits for a hanging child nor leaves it behind."""
    with IsolatedMap(misbehave, num_processes=2, timeout_seconds=600) as isolated:
        assert next(isolated.run(["a", "hang", "hang", "hang"])) == "A"
        family = isolated_children()
    assert len(family) == 2
    assert not psutil.wait_procs(family, timeout=30)[1]


def test_children_that_cannot_start_are_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known of the arguments then: none of them is refused."""
    monkeypatch.setattr("rspnet_platform.ingest.isolated_child.os.getpid", lambda: 1)  # they believe that it ended
    with (
        IsolatedMap(misbehave, num_processes=1, timeout_seconds=60) as isolated,
        pytest.raises(ChildProcessesError, match="did not start in 3 attempts"),
    ):
        list(isolated.run(["a", "b"]))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child ends when it has finished what it does")
def test_no_child_outlives_its_parent() -> None:
    """SIGKILL of the parent ends a child at once, also one that hangs and would not notice a closed pipe."""
    code = (
        "from rspnet_platform.ingest.isolation import IsolatedMap\n"
        "from tests.orchestration.test_ingest_isolation import misbehave\n"
        "isolated = IsolatedMap(misbehave, num_processes=2, timeout_seconds=600)\n"
        "for outcome in isolated.run(['a', 'hang', 'hang', 'b']): print(outcome, flush=True)\n"
    )
    paths = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
    parent = subprocess.Popen([sys.executable, "-c", code], env=paths, cwd=REPOSITORY, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"A\n"
    family = psutil.Process(parent.pid).children(recursive=True)
    assert len(family) == 2
    parent.kill()
    parent.wait()
    assert not psutil.wait_procs(family, timeout=30)[1]
