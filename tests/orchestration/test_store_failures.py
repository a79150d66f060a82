"""A store that stays away while a run trains: the run ends at once, and one message says why."""

import logging

import pytest
from ray.exceptions import RayTaskError
from ray.train.v2._internal.exceptions import UserExceptionWithTraceback
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError
from rspnet_platform import worker_setup
from rspnet_platform.storage import StorageError
from rspnet_platform.train.failure_notice import FailureNotice, storage_error_in

ERROR = StorageError("cannot read s3://x: away (tried 9 times in 41 s)")


def wrapped_errors() -> list[Exception]:
    """As Ray hands on what a task raises, once more what a worker does, and once more what training does."""
    in_task = RayTaskError("read", f"Traceback ...\nStorageError: {ERROR}", ERROR).as_instanceof_cause()
    in_worker = UserExceptionWithTraceback(in_task, f"Traceback ...\nStorageError: {ERROR}")
    return [in_task, in_worker, WorkerGroupError("failed", {1: in_worker}), ControllerError(ERROR)]


@pytest.mark.parametrize("wrapped", wrapped_errors(), ids=lambda error: type(error).__name__)
def test_it_is_found_however_it_is_wrapped(wrapped: Exception) -> None:
    """Its own message comes out, without Ray's tracebacks and advice."""
    found = storage_error_in([ValueError("other"), wrapped])
    assert str(found) == str(ERROR)


def test_other_failures_are_none_of_a_store() -> None:
    """Nothing is made of what it is not."""
    assert storage_error_in([WorkerGroupError("failed", {0: ValueError("ours")}), KeyError("x")]) is None


def test_the_run_is_not_restarted_for_it(monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    """Ray Train goes on after a worker's failure, and not after what its policy takes for one of its own."""
    tags: list[dict] = []
    monkeypatch.setattr("rspnet_platform.tracking.runs.set_tags", lambda *arguments: tags.append(arguments[2]))
    notice = FailureNotice("sqlite://", "id")
    notice.after_exception(None, {1: ValueError("first line\nlost a GPU")})
    assert capfd.readouterr().err == "workers failed, going on from the last checkpoint: rank 1: lost a GPU\n"
    with pytest.raises(ControllerError) as raised:
        notice.after_exception(None, {0: wrapped_errors()[1]})
    assert str(raised.value.controller_failure) == str(ERROR)
    assert capfd.readouterr().err == ""
    assert [each["num_failures"] for each in tags] == [1, 2]


def test_its_tracebacks_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each process that it came by, unless they are asked for; all other failures are told as ever."""
    for error in (*wrapped_errors()[:1], ERROR):
        assert not worker_setup.is_not_of_a_store(record("task failed", error))
    assert not worker_setup.is_not_of_a_store(record(f"Split 0 failed:\nStorageError: {ERROR}", None))
    assert worker_setup.is_not_of_a_store(record("task failed", ValueError("ours")))
    assert worker_setup.is_not_of_a_store(record("all is well", None))
    logger = logging.getLogger("ray.data.exceptions")
    before = list(logger.filters)
    try:
        monkeypatch.setenv("RSPNET_TRACEBACK", "1")
        worker_setup.quiet_ray()
        assert logger.filters == before
        monkeypatch.delenv("RSPNET_TRACEBACK")
        worker_setup.quiet_ray()
        assert worker_setup.is_not_of_a_store in logger.filters
    finally:
        logger.filters[:] = before


def record(message: str, error: Exception | None) -> logging.LogRecord:
    exc_info = (type(error), error, None) if error else None
    return logging.LogRecord("ray", logging.ERROR, "x.py", 1, message, (), exc_info)
