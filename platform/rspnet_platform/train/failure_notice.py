"""Says that workers failed, where the job was started and in the run, while Ray Train goes on from a checkpoint."""

import contextlib
import sys
from collections.abc import Iterable, Iterator

from ray.exceptions import RayTaskError
from ray.train import UserCallback
from ray.train.v2.api.exceptions import ControllerError

from rspnet_platform.storage import StorageError
from rspnet_platform.tracking import runs


class FailureNotice(UserCallback):
    """Lives in Ray Train's controller, whose standard error reaches the driver."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self.tracking_uri, self.run_id = tracking_uri, run_id
        self.num_failures = 0

    def after_exception(self, run_context: object, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
        """Ends the run where a store has stayed away for as long as we wait: the same command goes on once it is
        back, and each restart would only wait as long again."""
        self.num_failures += 1
        failures = "; ".join(f"rank {rank}: {summary(error)}" for rank, error in sorted(worker_exceptions.items()))
        with contextlib.suppress(Exception):  # the tracking server may be what has failed
            runs.set_tags(self.tracking_uri, self.run_id, {"num_failures": self.num_failures, "last_failure": failures})
        if (storage_error := storage_error_in(worker_exceptions.values())) is not None:
            raise ControllerError(storage_error)  # of all errors, Ray Train's failure policy retries this one never
        print(f"workers failed, going on from the last checkpoint: {failures}", file=sys.stderr, flush=True)


def storage_error_in(errors: Iterable[BaseException]) -> StorageError | None:
    """The StorageError that is behind any of `errors`, however deep Ray has wrapped it."""
    for error in errors:
        for cause in causes(error):
            # Ray's own wrapper takes on the type of what it wraps, with a traceback for a message.
            if isinstance(cause, StorageError) and not isinstance(cause, RayTaskError):
                return type(cause)(str(cause).splitlines()[0])  # Ray appends advice
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, in the attributes that Ray and Python have for it."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            wrapped = [getattr(each, name, None) for name in ("__cause__", "cause", "controller_failure", "_base_exc")]
            failures = getattr(each, "worker_failures", {})
            waiting += [*wrapped, *failures.values()]


def summary(error: BaseException) -> str:
    """The exception's last line: Ray puts whole tracebacks into messages."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
