"""Runs a function on many arguments in child processes: a crash or a hang costs that argument only."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from rspnet_platform.storage import StorageError
from rspnet_platform.videos.refusal_reasons import RefusalReason

ArgumentType = TypeVar("ArgumentType")
ResultType = TypeVar("ResultType")
_PR_SET_PDEATHSIG = 1
_MAX_BREAKDOWNS_IN_A_ROW = 3


@dataclass(frozen=True, kw_only=True)
class IsolationFailure:
    """The child did not return: TIMED_OUT or CRASHED, and what is known of it."""

    reason: RefusalReason
    detail: str


class ChildProcessesError(OSError):
    """Child processes die before they take up their work; that is about this machine, not about any argument."""


class IsolatedMap(Generic[ArgumentType, ResultType]):
    """`function(argument)` for each argument, in child processes, results in the order of the arguments.

    Arguments and results are pickled, so that `function` must be importable by name. A child that takes
    longer than `timeout_seconds` is killed and replaced, one that dies is replaced. A StorageError in a child
    is raised here: it is about the store, not about the argument. Only a few arguments beyond the one that is
    waited for are in flight, whatever their number. The children live from the first `run` to the end of the `with`
    block, or of this process, or of the thread that called `run` first: the system kills them then.
    """

    def __init__(
        self, function: Callable[[ArgumentType], ResultType], *, num_processes: int, timeout_seconds: float
    ) -> None:
        self._function = function
        self._timeout_seconds = timeout_seconds
        self._num_processes = num_processes
        self._pool = self._new_pool()

    def __enter__(self) -> "IsolatedMap[ArgumentType, ResultType]":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.stop()
        self._pool.join()

    def run(self, arguments: Iterable[ArgumentType]) -> Iterator[ResultType | IsolationFailure]:
        """Yields one result or IsolationFailure for each argument."""
        remaining = iter(arguments)
        in_flight = deque((argument, self._schedule(argument)) for argument in islice(remaining, self._num_in_flight))
        num_breakdowns = 0
        while in_flight:
            try:
                outcome = self._outcome(in_flight[0][1])
            except BrokenProcessPool as error:
                num_breakdowns += 1
                if num_breakdowns >= _MAX_BREAKDOWNS_IN_A_ROW:
                    raise ChildProcessesError(f"child processes died {num_breakdowns} times: {error}") from error
                in_flight = deque((argument, self._again(argument, future)) for argument, future in in_flight)
                continue
            num_breakdowns = 0
            in_flight.popleft()
            yield outcome
            in_flight.extend((argument, self._schedule(argument)) for argument in islice(remaining, 1))

    @property
    def _num_in_flight(self) -> int:
        return 4 * self._num_processes

    def _new_pool(self) -> ProcessPool:
        # spawn: a forked child would inherit the locks of threads that it does not have.
        context = multiprocessing.get_context("spawn")
        return ProcessPool(self._num_processes, initializer=_die_with_parent, initargs=(os.getpid(),), context=context)

    def _schedule(self, argument: ArgumentType) -> Future:
        if not self._pool.active:  # a child that dies while it has nothing to do breaks its pool
            self._pool.stop()
            self._pool.join()
            self._pool = self._new_pool()
        return self._pool.schedule(self._function, args=(argument,), timeout=self._timeout_seconds)

    def _again(self, argument: ArgumentType, future: Future) -> Future:
        """The future of an argument that a broken pool may have left undone."""
        is_lost = not future.done() or isinstance(future.exception(), BrokenProcessPool)
        return self._schedule(argument) if is_lost else future

    def _outcome(self, future: Future) -> ResultType | IsolationFailure:
        while not wait([future], timeout=1).done:
            if not self._pool.active and not future.done():
                raise BrokenProcessPool("the pool of child processes broke down")
        try:
            return future.result()
        except (StorageError, BrokenProcessPool):
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


def _die_with_parent(parent_process_id: int) -> None:
    """Also when the parent is killed, and whatever a decoder is busy with. Elsewhere than on Linux a child notices the
    closed pipe once it has finished what it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_process_id:  # it died in the meantime
            os._exit(1)
