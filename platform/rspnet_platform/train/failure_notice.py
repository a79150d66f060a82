"""Says that workers failed, where the job was started and in the run, while Ray Train goes on from a checkpoint."""

import contextlib
import sys

from ray.train import UserCallback

from rspnet_platform.tracking import runs


class FailureNotice(UserCallback):
    """Lives in Ray Train's controller, whose standard error reaches the driver."""

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self.tracking_uri, self.run_id = tracking_uri, run_id
        self.num_failures = 0

    def after_exception(self, run_context: object, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
        self.num_failures += 1
        failures = "; ".join(f"rank {rank}: {summary(error)}" for rank, error in sorted(worker_exceptions.items()))
        print(f"workers failed, going on from the last checkpoint: {failures}", file=sys.stderr, flush=True)
        with contextlib.suppress(Exception):  # the tracking server may be what has failed
            runs.set_tags(self.tracking_uri, self.run_id, {"num_failures": self.num_failures, "last_failure": failures})


def summary(error: Exception) -> str:
    """The exception's last line: Ray puts whole tracebacks into messages."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
