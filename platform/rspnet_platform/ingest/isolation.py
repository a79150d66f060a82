"""Runs a function on many arguments in child processes: a crash or a hang costs that argument only."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from rspnet_platform.storage import StorageError
from rspnet_platform.videos.refusal_reasons import RefusalReason

ArgumentType = TypeVar("ArgumentType")
ResultType = TypeVar("ResultType")


@dataclass(frozen=True, kw_only=True)
class IsolationFailure:
    """The child did not return: TIMED_OUT or CRASHED, and what is known of it."""

    reason: RefusalReason
    detail: str


class IsolatedMap(Generic[ArgumentType, ResultType]):
    """`function(argument)` for each argument, in child processes, results in the order of the arguments.

    Arguments and results are pickled, so that `function` must be importable by name. A child that takes
    longer than `timeout_seconds` is killed and replaced, one that dies is replaced. A StorageError in a child
    is raised here: it is about the store, not about the argument. Only a few arguments beyond the one that is
    waited for are in flight, whatever their number.
    """

    def __init__(
        self, function: Callable[[ArgumentType], ResultType], *, num_processes: int, timeout_seconds: float
    ) -> None:
        self._function = function
        self._timeout_seconds = timeout_seconds
        self._num_in_flight = 4 * num_processes
        # spawn: a forked child would inherit the locks of threads that it does not have.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPool(num_processes, initializer=_leave_interrupts_to_parent, context=context)

    def __enter__(self) -> "IsolatedMap[ArgumentType, ResultType]":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()
        self._pool.join()

    def run(self, arguments: Iterable[ArgumentType]) -> Iterator[ResultType | IsolationFailure]:
        """Yields one result or IsolationFailure for each argument."""
        remaining = iter(arguments)
        in_flight = deque(map(self._schedule, islice(remaining, self._num_in_flight)))
        while in_flight:
            yield self._outcome(in_flight.popleft())
            in_flight.extend(map(self._schedule, islice(remaining, 1)))

    def _schedule(self, argument: ArgumentType) -> Future:
        return self._pool.schedule(self._function, args=(argument,), timeout=self._timeout_seconds)

    def _outcome(self, future: Future) -> ResultType | IsolationFailure:
        try:
            return future.result()
        except StorageError:
            raise
        except TimeoutError:
            detail = f"no result after {self._timeout_seconds:g} seconds"
            return IsolationFailure(reason=RefusalReason.TIMED_OUT, detail=detail)
        except ProcessExpired as error:
            return IsolationFailure(reason=RefusalReason.CRASHED, detail=_describe_exit(error.exitcode))
        except Exception as error:  # whatever a decoder raises on bytes that nobody foresaw
            detail = f"{type(error).__name__}: {error}"
            return IsolationFailure(reason=RefusalReason.CRASHED, detail=detail)


def _describe_exit(exit_code: int) -> str:
    if exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}"
    return f"the process exited with status {exit_code}"


def _leave_interrupts_to_parent() -> None:
    """Ctrl-C reaches the whole group of processes; the parent ends its children itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
