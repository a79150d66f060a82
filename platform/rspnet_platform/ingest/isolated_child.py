"""A child process that calls one function again and again, for a parent that outlives its crashes and hangs."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any, Generic, TypeVar, cast

from rspnet_platform.storage import StorageError
from rspnet_platform.videos.refusal_reasons import RefusalReason

ArgumentType = TypeVar("ArgumentType")
ResultType = TypeVar("ResultType")
START_TIMEOUT_SECONDS = 120.0
MAX_ATTEMPTS = 3
_PR_SET_PDEATHSIG = 1
EARNED = "earned"
_channel_to_parent: Connection | None = None
"""Of a child process."""


@dataclass(frozen=True, kw_only=True)
class IsolationFailure:
    """The child did not return: TIMED_OUT or CRASHED, and what is known of it."""

    reason: RefusalReason
    detail: str


class ChildProcessesError(OSError):
    """Child processes end before they take up their work; that is about this machine, not about any argument."""


class IsolatedChild(Generic[ArgumentType, ResultType]):
    """`function` in a process of its own, which starts with the first call, and anew after it died or was killed.

    Function, arguments and results are pickled, so that `function` must be importable by name; nothing of this
    process's main module is loaded. The child ends with this process, or with the thread that started it, however they
    end. One thread calls at a time.
    """

    def __init__(self, function: Callable[[ArgumentType], ResultType], *, timeout_seconds: float) -> None:
        self._function = function
        self._timeout_seconds = timeout_seconds
        self._is_stopped = False
        self._process: subprocess.Popen | None = None
        self._channel: Connection | None = None

    def call(self, argument: ArgumentType) -> ResultType | IsolationFailure:
        """`function(argument)`, or why there is none. It may take `timeout_seconds`, and what it earns on its way.

        A StorageError of the child is raised here: it is about the store, not about the argument.
        ChildProcessesError when no child starts.
        """
        process, channel = self._hand_over(argument)
        began, num_seconds = time.monotonic(), self._timeout_seconds
        kind, value = EARNED, cast(Any, 0.0)
        while kind == EARNED:
            num_seconds += value
            if not channel.poll(max(0.0, began + num_seconds - time.monotonic())):
                self._end()
                return IsolationFailure(reason=RefusalReason.TIMED_OUT, detail=self._out_of_time(num_seconds))
            try:
                kind, value = channel.recv()
            except (EOFError, OSError):
                self._end(grace_seconds=10)
                return IsolationFailure(reason=RefusalReason.CRASHED, detail=_describe_exit(process.returncode))
        if kind == "store":
            raise StorageError(value)
        return IsolationFailure(reason=RefusalReason.CRASHED, detail=value) if kind == "raised" else value

    def _out_of_time(self, num_seconds: float) -> str:
        earned = num_seconds - self._timeout_seconds
        more = f" and the {earned:.0f} earned by decoding" if earned else ""
        accepted = f"accepted: timeout_seconds, which is {self._timeout_seconds:g}{more}"
        return f"no result after {num_seconds:.0f} seconds; {accepted}"

    def stop(self) -> None:
        """Kills the child, from any thread; there will be no other."""
        self._is_stopped = True
        if (process := self._process) is not None:
            process.kill()
            process.wait()

    def _hand_over(self, argument: ArgumentType) -> tuple[subprocess.Popen, Connection]:
        """To the child that is there, or to a new one: a child that died before it took the argument did not die of
        it."""
        for _ in range(MAX_ATTEMPTS):
            if self._process is None or self._channel is None:
                self._process, self._channel = _start()
                if self._is_stopped:
                    self._process.kill()
                messages = (self._function, argument)
            else:
                messages = (argument,)
            try:
                for message in messages:
                    self._channel.send(message)
                    if not self._channel.poll(START_TIMEOUT_SECONDS):
                        raise TimeoutError
                    self._channel.recv()  # it has it, and has imported what it needs: its time begins
                return self._process, self._channel
            except (EOFError, OSError):
                self._end()
        raise ChildProcessesError(f"a child process did not start in {MAX_ATTEMPTS} attempts; see its own messages")

    def _end(self, *, grace_seconds: float = 0) -> None:
        """A child whose channel is closed is about to exit, and its status says why."""
        if self._process is not None and self._channel is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_seconds)
            self._process.kill()
            self._process.wait()
            self._channel.close()
        self._process = self._channel = None


def _start() -> tuple[subprocess.Popen, Connection]:
    ours, theirs = Pipe()
    code = f"from {__name__} import serve; serve({theirs.fileno()}, {os.getpid()})"
    path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=os.environ | {"PYTHONPATH": path},
        )
    return process, ours


def _describe_exit(exit_code: int) -> str:
    if exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}"
    return f"the process exited with status {exit_code}"


def serve(file_descriptor: int, parent_process_id: int) -> None:
    """What the child does: take the function, then answer each argument, until the parent's end is closed. It says
    when it has taken something."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends its children itself
    _die_with_parent(parent_process_id)
    global _channel_to_parent
    channel = _channel_to_parent = Connection(file_descriptor)
    try:
        function = channel.recv()
        channel.send(None)
        while True:
            argument = channel.recv()
            channel.send(None)
            _answer(channel, function, argument)
    except EOFError:
        return


def earn_seconds(num_seconds: float) -> None:
    """Of a function in a child process: so much more time for what it does now. Elsewhere nothing happens."""
    if _channel_to_parent is not None:
        _channel_to_parent.send((EARNED, num_seconds))


def _answer(channel: Connection, function: Callable[[Any], Any], argument: Any) -> None:
    try:
        channel.send(("result", function(argument)))
    except StorageError as error:
        channel.send(("store", str(error)))
    except Exception as error:  # whatever a decoder raises on bytes that nobody foresaw
        channel.send(("raised", f"{type(error).__name__}: {error}"))


def _die_with_parent(parent_process_id: int) -> None:
    """Also when the parent is killed, and whatever a decoder is busy with. Elsewhere than on Linux a child notices the
    closed channel once it has finished what it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_process_id:  # it ended in the meantime
            os._exit(1)
