"""A lease on a real S3 store, whose conditional write is what lets one job alone have a folder."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from rspnet_platform import lease, storage
from rspnet_platform.lease import Lease, LeaseHeldError, LeaseTimes, lease_numbers, lease_uri
from rspnet_platform.lease_owner import Owner


def test_an_object_that_is_there_stays(bucket: str) -> None:
    """By the store's own conditional write."""
    assert storage.create_bytes(f"{bucket}/a/b", b"first")
    assert not storage.create_bytes(f"{bucket}/a/b", b"second")
    assert storage.read_bytes(f"{bucket}/a/b") == b"first"


def test_one_job_alone_has_a_folder_of_a_store(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four that find its owner dead at once, one takes over; at its end nothing is left. On a busy machine some
    write seconds after others."""
    monkeypatch.setattr(lease, "SECONDS_TO_SETTLE", 5.0)
    folder, times = f"{bucket}/runs/first", LeaseTimes(seconds_between_beats=0.5, stale_seconds=30.0)
    dead = replace(Owner.this_process(), pid=2**22 + 1)
    storage.write_bytes(lease_uri(folder, 1), dead.written(0))
    leases = [Lease(folder, times) for _ in range(4)]

    def acquire(lease: Lease) -> bool:
        try:
            lease.acquire(waits=False)
        except LeaseHeldError:
            return False
        return True

    with ThreadPoolExecutor(len(leases)) as pool:
        acquired = list(pool.map(acquire, leases))
    assert sum(acquired) == 1
    assert lease_numbers(folder) == [2]
    leases[acquired.index(True)].release()
    assert lease_numbers(folder) == []
