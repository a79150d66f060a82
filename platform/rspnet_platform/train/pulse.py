"""Word between a job and its training workers, through the cluster's own key-value store: each worker says that it is
alive and at which step; the job says when they are to stop."""

import contextlib
import json
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_list, _internal_kv_put

from rspnet_platform.train.watches import RunStoppedError

SECONDS_BETWEEN_BEATS = 0.5


class StopRequestedError(RunStoppedError):
    """Asked for by who started the job. The message says by what."""

    reason = "stop requested"
    ends_run: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class PulseBoard:
    """Travels to the workers. (An actor in its place would cost a run's first step a second.)"""

    key: str = field(default_factory=lambda: f"rspnet/pulse/{uuid.uuid4().hex}")

    def ask_to_stop(self, sender: str) -> None:
        _internal_kv_put(f"{self.key}/stop", sender, overwrite=True)

    def sender_of_stop(self) -> str | None:
        word = _internal_kv_get(f"{self.key}/stop")
        return word.decode() if word else None

    def write(self, rank: int, beat: Mapping[str, Any]) -> None:
        _internal_kv_put(f"{self.key}/rank/{rank}", json.dumps(beat), overwrite=True)

    def read(self) -> dict[int, dict[str, Any]]:
        """The last beat of each rank that there is now: a run may go on with fewer than it had."""
        entries = {key: _internal_kv_get(key) for key in _internal_kv_list(f"{self.key}/rank/")}
        beats = {int(key.rpartition(b"/")[2]): json.loads(entry) for key, entry in entries.items() if entry}
        return {rank: beat for rank, beat in beats.items() if 0 in beats and rank < beats[0]["num_workers"]}

    def clear(self) -> None:
        for key in _internal_kv_list(self.key):
            _internal_kv_del(key)


class Pulse(AbstractContextManager):
    """A worker's own. The loop writes `step`, and reads `stop`, which is there once rank 0 has heard of it. Whatever
    is wrong with the key-value store costs the word, not the run."""

    def __init__(self, board: PulseBoard, *, rank: int, num_workers: int, step: int) -> None:
        self.step = step
        self.stop: StopRequestedError | None = None
        self._board, self._rank, self._num_workers = board, rank, num_workers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """No thread may ask Ray for anything once it is left."""
        self._ended.set()
        self._thread.join(timeout=5.0)

    def _beat(self) -> None:
        who = {"node": socket.gethostname(), "pid": os.getpid(), "num_workers": self._num_workers}
        number = 0
        while not self._ended.is_set():
            number += 1
            with contextlib.suppress(Exception):
                self._board.write(self._rank, {**who, "beat": number, "step": self.step})
                if self._rank == 0 and self.stop is None and (sender := self._board.sender_of_stop()):
                    self.stop = StopRequestedError(f"stopped by {sender}")
            self._ended.wait(SECONDS_BETWEEN_BEATS)
