"""One job at a time writes a folder: a lease on its storage, that its owner renews for as long as it works.

The lease is a file `.lease-NUMBER.json` in the folder itself; who made the one with the highest number has the folder.
To take over is to make the next number, which a store lets one alone do. That an owner is gone is told by its process,
on its own machine, and elsewhere by a lease that does not change while one watches: no two clocks are compared.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from rspnet_platform import storage
from rspnet_platform.command_line import UserError, say
from rspnet_platform.lease_owner import Owner
from rspnet_platform.stop_requests import STOP_REQUESTS

NUM_LOOKS_PER_BEAT = 10
SECONDS_TO_SETTLE = 1.0
"""Some stores look whether an object is there before they write it, and not as they do (Swift), or not at all: of jobs
that start in the same moment the last to write has the folder, and the others see it after that."""

MAX_SECONDS_TO_RELEASE = 5.0

_NAME = re.compile(r"\.lease-(?P<number>\d+)\.json")
_HELD: list["Lease"] = []


class LeaseHeldError(UserError):
    """Another job is at work in the folder."""


class LeaseLostError(UserError):
    """Another job has taken the folder over: this one was suspended, or its storage was away, for too long."""


@dataclass(frozen=True, kw_only=True)
class LeaseTimes:
    """How often a lease is renewed, and for how long it must not have been for another job to take it over."""

    seconds_between_beats: float = 10.0
    stale_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < 2 * self.seconds_between_beats <= self.stale_seconds:
            raise ValueError(
                f"a lease is renewed each {self.seconds_between_beats} s and stale after {self.stale_seconds} s; "
                "accepted are more than 0, and twice that or more"
            )


@dataclass(frozen=True, kw_only=True)
class Found:
    """A lease as it lies on storage. `owner` is None for one that is not whole."""

    number: int
    data: bytes

    @property
    def owner(self) -> Owner | None:
        return Owner.read(self.data)


@contextlib.contextmanager
def leased(uri: str, *, waits: bool = False, times: LeaseTimes | None = None) -> Iterator[None]:
    """In the block this process alone writes below the folder `uri`, which is made where it is not there.

    Raises LeaseHeldError where another job that is alive does; with `waits` it waits for that job's end. Where the
    lease is lost in the block, the job is broken off, and LeaseLostError raised at the block's end at the latest.
    """
    lease = Lease(uri, times or LeaseTimes())
    lease.acquire(waits=waits)
    try:
        yield
        if lease.loss is not None:
            raise LeaseLostError(lease.loss)
    finally:
        lease.release()


def has_lost_a_lease() -> bool:
    """Whether what this process was at work on is another's now: nothing more is to be said of it anywhere."""
    return any(lease.loss is not None for lease in _HELD)


def is_leased(uri: str) -> bool:
    """Whether a job is at work in the folder, or was killed there."""
    return newest_lease(uri) is not None


class Lease:
    """`loss` says what has happened once the folder is another's."""

    def __init__(self, uri: str, times: LeaseTimes) -> None:
        self.loss: str | None = None
        self._uri, self._times, self._owner = uri, times, Owner.this_process()
        self._number, self._is_reachable = 0, True
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_ended, name="lease", daemon=True)

    def acquire(self, *, waits: bool) -> None:
        while True:
            newest = newest_lease(self._uri)
            if newest is not None and newest.owner == self._owner:  # made, and there to stay
                break
            if newest is not None and not is_over(self._uri, newest, self._times, waits=waits):
                continue
            self._number = newest.number + 1 if newest else 1
            if storage.create_bytes(self._own_uri, self._owner.written(0)) and storage.is_remote(self._uri):
                time.sleep(SECONDS_TO_SETTLE)
        for number in lease_numbers(self._uri):
            if number < self._number:
                storage.delete_file(lease_uri(self._uri, number))
        _HELD.append(self)
        self._thread.start()

    def release(self) -> None:
        self._ended.set()
        self._thread.join(timeout=MAX_SECONDS_TO_RELEASE)
        _HELD.remove(self)
        if self.loss is None and self._is_reachable:  # a store that is away would be asked for a minute
            with contextlib.suppress(storage.StorageError):
                storage.delete_file(self._own_uri)

    @property
    def _own_uri(self) -> str:
        return lease_uri(self._uri, self._number)

    def _renew_until_ended(self) -> None:
        beat = 0
        while not self._ended.wait(self._times.seconds_between_beats):
            beat += 1
            try:
                loss = self._renew(beat)
                self._is_reachable = True
            except OSError:  # nobody can take over either what cannot be reached
                self._is_reachable = False
                continue
            if loss is not None and not self._ended.is_set():
                self.loss = loss
                STOP_REQUESTS.break_off(loss)
                return

    def _renew(self, beat: int) -> str | None:
        """Returns what has happened where the lease is no longer this process's."""
        try:
            owner = Owner.read(storage.read_bytes(self._own_uri))
        except FileNotFoundError:
            owner = None
        if owner == self._owner:
            storage.write_bytes(self._own_uri, self._owner.written(beat))
        # After that: it may have been suspended between the two.
        newest = newest_lease(self._uri)
        if owner == self._owner and newest is not None and newest.number == self._number:
            return None
        by = f"by {newest.owner or 'another job'}" if newest else "and left again, or was deleted,"
        return (
            f"{self._uri} was taken over {by} while this job was suspended, or its storage away, for "
            f"{self._times.stale_seconds:g} s or more; this one ends here"
        )


def is_over(uri: str, found: Found, times: LeaseTimes, *, waits: bool) -> bool:
    """Whether the lease may be taken over. False where it is no longer the newest. Raises LeaseHeldError for one that
    is alive, or with `waits` waits until it is not."""
    who = found.owner or "an unknown process"
    if found.owner is not None and found.owner.is_dead:
        say(f"going on in {uri} after {who}, which has died")
        return True
    say(f"{uri} belongs to {who}; looking for up to {times.stale_seconds:g} s whether that is alive")
    seconds = times.seconds_between_beats / NUM_LOOKS_PER_BEAT
    num_unchanged, is_said = 0, False
    while num_unchanged * seconds < times.stale_seconds:  # looks are counted: this process may be suspended too
        time.sleep(seconds)
        now = newest_lease(uri)
        if now is None or now.number != found.number:
            return False
        if now.data == found.data:
            num_unchanged += 1
            continue
        if not waits:
            raise LeaseHeldError(
                f"{uri} is being written by another job: {who}. Accepted is to wait for its end, or to stop it: then "
                "the same command goes on"
            )
        if not is_said:
            say(f"it is; waiting for its end in {uri}")
        found, num_unchanged, is_said = now, 0, True
    say(f"{who} has shown no sign of life for {times.stale_seconds:g} s; going on in its place")
    return True


def newest_lease(uri: str) -> Found | None:
    while numbers := lease_numbers(uri):
        with contextlib.suppress(FileNotFoundError):  # released in between
            return Found(number=numbers[-1], data=storage.read_bytes(lease_uri(uri, numbers[-1])))
    return None


def lease_numbers(uri: str) -> list[int]:
    found = (_NAME.fullmatch(name) for name in storage.list_names(uri))
    return sorted(int(name["number"]) for name in found if name)


def lease_uri(uri: str, number: int) -> str:
    return storage.join(uri, f".lease-{number:06d}.json")
