"""A training that a signal ends after its step, with a checkpoint, and whose silent workers are named."""

import contextlib
from collections.abc import Iterator

from rspnet_platform.command_line import say
from rspnet_platform.stop_requests import STOP_REQUESTS, JobStopped
from rspnet_platform.train.checkpoints import latest_checkpoint, load_data_state
from rspnet_platform.train.pulse import PulseBoard, StopRequestedError
from rspnet_platform.train.silence import saying_who_is_silent

MAX_SECONDS_TO_STOP = 20.0
"""For the step, its checkpoint and the workers' end. Kubernetes and Slurm kill 30 s after SIGTERM."""


@contextlib.contextmanager
def stoppable(run_uri: str) -> Iterator[PulseBoard]:
    """Yields what the run's workers are to be launched with. Raises JobStopped for a training that was stopped, in
    order or, after `MAX_SECONDS_TO_STOP`, not."""
    board = PulseBoard()

    def ask() -> None:
        say(f"{STOP_REQUESTS.sender}: the training ends after its step, with a checkpoint; another one ends it at once")
        board.ask_to_stop(STOP_REQUESTS.sender)

    try:
        with STOP_REQUESTS.stopping_in_order(ask, max_seconds=MAX_SECONDS_TO_STOP), saying_who_is_silent(board):
            yield board
    except (StopRequestedError, KeyboardInterrupt) as stop:
        raise JobStopped(where_it_goes_on(run_uri)) from stop
    finally:
        with contextlib.suppress(Exception):
            board.clear()


def where_it_goes_on(run_uri: str) -> str:
    """By the last checkpoint: a training that ended in order has one of its last step."""
    try:
        checkpoint = latest_checkpoint(run_uri)
        return f" at step {load_data_state(checkpoint).step}" if checkpoint else " before the first checkpoint"
    except Exception:  # a store that is away must not hide that the job was stopped
        return ""
