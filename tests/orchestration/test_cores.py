"""Work that is shared among cores comes back in its order, and leaves torch its threads."""

import threading

import pytest
import torch
from rspnet_platform.cpu_threads import SharedCores


@pytest.mark.parametrize(
    ("num_cores", "max_at_once", "num_items", "num_threads_each"), [(2, 8, 4, 1), (8, 2, 4, 4), (8, 8, 1, 8)]
)
def test_cores_are_shared_out(num_cores: int, max_at_once: int, num_items: int, num_threads_each: int) -> None:
    """Each piece has its part of the cores, no more are at work at once than may be, and none loses its place."""
    before, at_work, most = torch.get_num_threads(), 0, 0
    lock = threading.Lock()

    def work(number: int) -> tuple[int, int]:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        threads = torch.get_num_threads()
        with lock:
            at_work -= 1
        return number, threads

    cores = SharedCores(device=torch.device("cpu"), num_cores=num_cores, max_at_once=max_at_once)
    assert cores.map(work, range(num_items)) == [(number, num_threads_each) for number in range(num_items)]
    assert most <= min(num_cores, max_at_once)
    assert torch.get_num_threads() == before
    assert cores.map(work, []) == []


def test_pieces_run_side_by_side() -> None:
    """Two that wait for each other both end."""
    both = threading.Barrier(2, timeout=30)
    cores = SharedCores(device=torch.device("cpu"), num_cores=2, max_at_once=2)
    assert len(cores.map(lambda _: both.wait(), range(2))) == 2


def test_a_gpu_takes_one_after_the_other() -> None:
    """In the caller's own thread."""
    cores = SharedCores(device=torch.device("cuda"), num_cores=2, max_at_once=2)
    assert cores.map(lambda _: threading.current_thread() is threading.main_thread(), range(2)) == [True, True]
