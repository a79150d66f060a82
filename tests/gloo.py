"""A function on real gloo processes, and what each of them returns."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

NUM_WORKERS = 2


def on_each_worker(function: Callable[[int], Any], folder: Path) -> list[Any]:
    """`function(rank)` of `NUM_WORKERS` processes, one process group and one thread each, in the order of their ranks.

    `function` is importable by name; what it returns is tensors, numbers, strings, and lists and dicts of them.
    """
    spawn(_worker, args=(function, str(folder)), nprocs=NUM_WORKERS)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(NUM_WORKERS)]


def _worker(rank: int, function: Callable[[int], Any], folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=NUM_WORKERS)
    torch.save(function(rank), f"{folder}/{rank}.pt")
    dist.destroy_process_group()
    # DistributedDataParallel keeps the group's threads beyond its destruction, and an interpreter that ends under them
    # aborts now and then ("terminate called without an active exception").
    os._exit(0)
