"""How many threads torch takes where there is no GPU."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def use_all_cores_of(device: torch.device, *, num_processes: int) -> None:
    """Shares the machine's cores among its training processes; on a GPU, nothing.

    Ray gives each worker as many threads as it reserved CPUs, which is one: decoding a small encoder's clips takes a
    hundredth of the time of its step, so the other cores would idle.
    """
    if device.type == "cpu":
        torch.set_num_threads(num_cores_for_one_of(num_processes))


def num_cores_for_one_of(num_processes: int) -> int:
    return max(1, len(os.sched_getaffinity(0)) // num_processes)


@dataclass(frozen=True, kw_only=True)
class SharedCores:
    """Runs independent pieces of work side by side, the cores shared out among them: two cores on one small piece cost
    a third more than one core takes for it. On a GPU one piece after the other. `max_at_once` bounds their memory."""

    device: torch.device
    num_cores: int
    max_at_once: int

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """In the order of `items`. Torch has as many threads as before, after it."""
        num_at_once = min(len(items), self.num_cores, self.max_at_once)
        if self.device.type != "cpu" or not items:
            return [work(item) for item in items]
        num_threads = torch.get_num_threads()
        torch.set_num_threads(max(1, self.num_cores // num_at_once))
        try:
            with ThreadPoolExecutor(num_at_once) as pool:
                return list(pool.map(work, items))
        finally:
            torch.set_num_threads(num_threads)
