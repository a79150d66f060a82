"""A progress bar where the job was started, for steps that are taken on another machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError
from tqdm import tqdm

from rspnet_platform.waiting_bar import SECONDS_BETWEEN_UPDATES, waiting_bar


@ray.remote(num_cpus=0)
class ProgressBoard:
    """Rank 0 writes what it last did; the driver reads. Nobody waits for it."""

    def __init__(self) -> None:
        self.latest: dict[str, Any] = {}

    def write(self, latest: dict[str, Any]) -> None:
        self.latest = latest

    def read(self) -> dict[str, Any]:
        return self.latest


@contextmanager
def progress_bar(num_steps: int) -> Iterator[Any]:
    """Shows steps, loss, clips per second and data wait on standard error; yields the board's handle for rank 0."""
    board = ProgressBoard.remote()
    stop = threading.Event()
    bar = waiting_bar("training", "step", total=num_steps, num_left=num_steps)
    thread = threading.Thread(target=_follow, args=(board, bar, stop), daemon=True)
    thread.start()
    try:
        yield board
    finally:
        stop.set()
        thread.join(timeout=5)
        _show(bar, _read(board))
        bar.close()
        del board  # the last handle: Ray ends the actor


def _follow(board: Any, bar: tqdm, stop: threading.Event) -> None:
    while not stop.wait(SECONDS_BETWEEN_UPDATES):
        _show(bar, _read(board))


def _read(board: Any) -> dict[str, Any]:
    try:
        return ray.get(board.read.remote(), timeout=5)
    except RayError:  # a dead board costs the bar, not the run
        return {}


def _show(bar: tqdm, latest: dict[str, Any]) -> None:
    if not latest:
        return
    metrics = latest["metrics"]
    num_damaged = int(metrics.get("data/num_damaged_videos", 0))
    bar.set_postfix_str(
        f"loss {metrics['train/loss']:.3f}, {metrics['throughput/clips_per_second']:.0f} clips/s, "
        f"data wait {metrics.get('time/data_wait_fraction', 0.0):.0%}"
        + (f", {num_damaged} damaged video{'s' * (num_damaged > 1)}" if num_damaged else ""),
        refresh=False,
    )
    bar.update(latest["step"] - bar.n)
