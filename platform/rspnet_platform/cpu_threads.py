"""How many threads torch takes where there is no GPU."""

import os

import torch


def use_all_cores_of(device: torch.device, *, num_processes: int) -> None:
    """Shares the machine's cores among its training processes; on a GPU, nothing.

    Ray gives each worker as many threads as it reserved CPUs, which is one: decoding a small encoder's clips takes a
    hundredth of the time of its step, so the other cores would idle.
    """
    if device.type == "cpu":
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // num_processes))
