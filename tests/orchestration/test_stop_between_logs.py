"""A stop is heard after every step of a single worker, not only where metrics are logged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.data.block import BlockAccessor
from rspnet_platform.command_line import parse_recipe
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.clip_source import ClipSource
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train import pulse
from rspnet_platform.train.checkpoints import latest_checkpoint, load_data_state
from rspnet_platform.train.in_process import InProcessWorker, train_in_process
from rspnet_platform.train.launch import build_run_config, plan_stream
from rspnet_platform.train.loop import LoopInputs
from rspnet_platform.train.loop_task import LoopTask
from rspnet_platform.train.pulse import PulseBoard, StopRequestedError
from rspnet_platform.train.training_state import TrainingState

from jobs.recipes import DEFAULT_RECIPE, RECIPES
from tests.waiting import wait_until

SMALL = (
    "--task.clips.num-frames-per-clip 4 --task.view.crop-size 32 --task.queue-size 16 --training.global-batch-size 8 "
    "--training.num-epochs 6 --training.log-every-num-steps 10 --training.checkpoint-every-num-steps 10"
)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> PulseBoard:
    """Its entries are in this process, which needs no cluster then."""
    entries: dict[bytes, bytes] = {}

    def put(key: str, value: str, *, overwrite: bool) -> None:
        assert overwrite
        entries[key.encode()] = value.encode()

    def get(key: str | bytes) -> bytes | None:
        return entries.get(key if isinstance(key, bytes) else key.encode())

    def of_prefix(prefix: str) -> list[bytes]:
        return [key for key in entries if key.startswith(prefix.encode())]

    monkeypatch.setattr(pulse, "_internal_kv_put", put)
    monkeypatch.setattr(pulse, "_internal_kv_get", get)
    monkeypatch.setattr(pulse, "_internal_kv_list", of_prefix)
    return PulseBoard()


class WorkerThatDecodes(InProcessWorker):
    """Runs the stream's read tasks itself, one after the other."""

    def samples(self, stream: TrainingStream) -> Any:
        self._stream = stream
        return self

    def iter_batches(self, *, batch_size: int, **_: Any) -> Iterator[dict[str, np.ndarray]]:
        for task in ClipSource(self._stream.plan, self._stream.recipe, self._stream.damage).get_read_tasks(1):
            for block in task():
                arrays: Any = BlockAccessor.for_block(block).to_numpy()
                for first in range(0, len(arrays["epoch"]) - batch_size + 1, batch_size):
                    yield {name: array[first : first + batch_size] for name, array in arrays.items()}


class StoppedIn(LoopTask):
    """Its run is asked to stop in a step, which ends once the worker has heard of it."""

    def __init__(self, board: PulseBoard, step: int) -> None:
        self._board, self._step = board, step

    def keep(self, state: TrainingState) -> None:
        if state.step != self._step:
            return
        self._board.ask_to_stop("Ctrl-C")
        wait_until(lambda: self._board.read(), "the worker does not beat")
        beat = self._board.read()[0]["beat"]
        # The worker asks whether it is to stop after each beat: with the second from now it has.
        wait_until(lambda: self._board.read()[0]["beat"] >= beat + 2, "the worker beats no more")


def test_a_stop_between_logged_steps_is_heard_at_once(
    board: PulseBoard, small_dataset: ShardedDataset, tmp_path: Path
) -> None:
    """After the very next step, with a checkpoint of it; metrics are logged at every tenth."""
    config = parse_recipe(RECIPES, DEFAULT_RECIPE, SMALL.split(), program="pretrain.py")
    run_uri = str(tmp_path / "run")
    inputs = LoopInputs(
        config=config,
        stream=plan_stream(config, small_dataset, run_uri),
        dataset_sha256=small_dataset.description.manifest_sha256,
        listeners=(),
        loop_task=StoppedIn(board, 2),
        pulse=board,
    )
    worker = WorkerThatDecodes(build_run_config(config, run_uri, (), None), None, cpus=1, use_gpu=False)
    with pytest.raises(StopRequestedError, match="stopped by Ctrl-C"):
        train_in_process(worker, inputs)
    checkpoint = latest_checkpoint(run_uri)
    assert checkpoint is not None
    assert load_data_state(checkpoint).step == 3
