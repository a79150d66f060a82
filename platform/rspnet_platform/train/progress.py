"""A progress bar where the job was started, for steps that may be taken in another process and on another machine."""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ray.experimental.internal_kv import _internal_kv_del, _internal_kv_get, _internal_kv_put
from ray.train import UserCallback
from tqdm import tqdm

from rspnet_platform.waiting_bar import SECONDS_BETWEEN_UPDATES, waiting_bar

SECONDS_A_DAY = 24 * 3600


@dataclass(frozen=True, kw_only=True)
class ProgressBoard:
    """Rank 0 writes what it last did, and who lists checkpoints the step of the last; the driver reads. Lines in the
    cluster's own key-value store: an actor would cost a run's first step a second. Travels to the worker; whatever is
    wrong with it costs the bar, not the run."""

    key: str = field(default_factory=lambda: f"rspnet/progress/{uuid.uuid4().hex}")

    def write(self, latest: dict[str, Any]) -> None:
        self._put(self.key, latest)

    def write_saved_step(self, step: int) -> None:
        self._put(self._saved_key, {"saved_step": step})

    def read(self) -> dict[str, Any]:
        """Nothing before the first step; `saved_step` is there from the first checkpoint on."""
        with contextlib.suppress(Exception):
            if latest := _internal_kv_get(self.key):
                return json.loads(latest) | json.loads(_internal_kv_get(self._saved_key) or "{}")
        return {}

    def clear(self) -> None:
        with contextlib.suppress(Exception):
            _internal_kv_del(self.key)
            _internal_kv_del(self._saved_key)

    @property
    def _saved_key(self) -> str:
        return f"{self.key}/saved"

    def _put(self, key: str, line: dict[str, Any]) -> None:
        with contextlib.suppress(Exception):
            _internal_kv_put(key, json.dumps(line), overwrite=True)


class SavedStepNotice(UserCallback):
    """Runs where checkpoints are listed, in Ray Train's controller, and tells the board what a crash would leave."""

    def __init__(self, board: ProgressBoard) -> None:
        self.board = board

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        self.board.write_saved_step(int(metrics[0]["step"]))


@contextmanager
def progress_bar(num_steps: int, num_epochs: int) -> Iterator[ProgressBoard]:
    """Shows epoch, step, the last saved step, time of arrival, loss, clips per second and data wait on standard error;
    yields the board for rank 0."""
    board = ProgressBoard()
    stop = threading.Event()
    bar = waiting_bar("training", "step", total=num_steps, num_left=num_steps)
    thread = threading.Thread(target=_follow, args=(board, bar, num_epochs, stop), daemon=True)
    thread.start()
    try:
        yield board
    finally:
        stop.set()
        thread.join(timeout=5)
        _show(bar, board.read(), num_epochs)
        bar.close()
        board.clear()


def _follow(board: ProgressBoard, bar: tqdm, num_epochs: int, stop: threading.Event) -> None:
    first: tuple[int, float] | None = None
    while not stop.wait(SECONDS_BETWEEN_UPDATES):
        latest = board.read()
        if not latest:
            continue
        now = time.time()
        first = first or (latest["step"], now)
        _show(bar, latest, num_epochs, arrival(first, (latest["step"], now), bar.total))


def arrival(first: tuple[int, float], latest: tuple[int, float], num_steps: int) -> str:
    """When the last step will be done at the pace from the `first` step seen to the `latest`, each with its time: the
    hour, and the day where that is a day away or more. Nothing before there is a pace."""
    (first_step, first_seconds), (step, seconds) = first, latest
    if step <= first_step or step >= num_steps:
        return ""
    at = seconds + (seconds - first_seconds) / (step - first_step) * (num_steps - step)
    return time.strftime("%H:%M" if at - seconds < SECONDS_A_DAY else "%d %b %H:%M", time.localtime(at))


def _show(bar: tqdm, latest: dict[str, Any], num_epochs: int, done_at: str = "") -> None:
    if not latest:
        return
    metrics = latest["metrics"]
    num_damaged = int(metrics.get("data/num_damaged_videos", 0))
    epoch = min(num_epochs, int(metrics["train/epoch"]) + 1)
    bar.set_postfix_str(
        f"epoch {epoch}/{num_epochs}, loss {metrics['train/loss']:.3f}, "
        f"{metrics['throughput/clips_per_second']:.0f} clips/s, "
        f"data wait {metrics.get('time/data_wait_fraction', 0.0):.0%}"
        + (f", {num_damaged} damaged video{'s' * (num_damaged > 1)}" if num_damaged else "")
        + (f", saved step {latest['saved_step']}" if "saved_step" in latest else "")
        + (f", done at {done_at}" if done_at else ""),
        refresh=False,
    )
    bar.update(latest["step"] - bar.n)
