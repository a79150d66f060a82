"""Runs a function on many arguments in child processes: a crash or a hang costs that argument only."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Generic

from rspnet_platform.ingest.isolated_child import ArgumentType, IsolatedChild, IsolationFailure, ResultType


class IsolatedMap(Generic[ArgumentType, ResultType]):
    """`function(argument)` for each argument, in IsolatedChildren, results in the order of the arguments.

    Only a few arguments beyond the one that is waited for are in flight, whatever their number. The children end with
    the `with` block.
    """

    def __init__(
        self, function: Callable[[ArgumentType], ResultType], *, num_processes: int, timeout_seconds: float
    ) -> None:
        self._children = [IsolatedChild(function, timeout_seconds=timeout_seconds) for _ in range(num_processes)]
        self._idle: SimpleQueue[IsolatedChild[ArgumentType, ResultType]] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(num_processes, thread_name_prefix="isolated-child")

    def __enter__(self) -> "IsolatedMap[ArgumentType, ResultType]":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.stop()
        self._threads.shutdown()

    def run(self, arguments: Iterable[ArgumentType]) -> Iterator[ResultType | IsolationFailure]:
        """Yields one result or IsolationFailure for each argument. StorageError and ChildProcessesError as they are."""
        remaining = iter(arguments)
        num_in_flight = 4 * len(self._children)
        in_flight = deque(self._threads.submit(self._call, argument) for argument in islice(remaining, num_in_flight))
        while in_flight:
            yield in_flight.popleft().result()
            in_flight.extend(self._threads.submit(self._call, argument) for argument in islice(remaining, 1))

    def _call(self, argument: ArgumentType) -> ResultType | IsolationFailure:
        child = self._idle.get()
        try:
            return child.call(argument)
        finally:
            self._idle.put(child)
