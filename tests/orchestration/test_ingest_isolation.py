"""A child process that dies or hangs costs its own argument only. The faults are real."""

import os
import signal
import time

import pytest
from rspnet_platform.ingest.isolation import IsolatedMap, IsolationFailure
from rspnet_platform.storage import StorageError
from rspnet_platform.videos.refusal_reasons import RefusalReason


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
    assert "3 seconds" in failures["hang"].detail
    assert failures["exit"].detail == "the process exited with status 3"
    assert failures["raise"].detail == "RuntimeError: unforeseen"


def test_a_failing_store_is_not_a_bad_video() -> None:
    """A StorageError of a child stops the whole map: every other video would fail the same way."""
    with (
        IsolatedMap(misbehave, num_processes=1, timeout_seconds=60) as isolated,
        pytest.raises(StorageError, match="s3://bucket"),
    ):
        list(isolated.run(["store", "a"]))
