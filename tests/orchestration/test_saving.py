"""In which order a checkpoint, the one before it and the metrics of its steps become what a run goes on from."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rspnet_platform.train import saving
from rspnet_platform.train.saving import Saver
from rspnet_platform.train.worker import RayTrainWorker, is_listed


class Recording:
    """A worker, its only listener and its disk: what is asked of them, in order."""

    is_first, rank, num_workers = True, 0, 1

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def wait_until_listed(self, reported_step: int) -> None:
        self.done.append(("listed", reported_step))

    def before_checkpoint(self, step: int) -> None:
        self.done.append(("metrics", step))

    def write_checkpoint(self, *_: Any) -> Path:
        self.done.append(("written",))
        return Path("folder")

    def report(self, metrics: Mapping[str, float], folder: Path | None, *, is_validated: bool) -> None:  # noqa: ARG002
        self.done.append(("reported", metrics["step"]))


def test_a_checkpoint_waits_for_the_one_before_and_for_its_metrics(monkeypatch):
    """The last one is what the run would go on from before the next is written, so that none queue up towards a slow
    store; the metrics of its steps are in the run's storage before it is handed in."""
    it, state = Recording(), SimpleNamespace(step=0, consumed=None, config=None, tensors=dict)
    monkeypatch.setattr(saving, "write_checkpoint", it.write_checkpoint)
    worker: Any = it
    trained: Any = SimpleNamespace(gather=lambda: None)
    saver = Saver(worker=worker, state=state, trained=trained, dataset_sha256="", turns=None, listeners=[worker])  # pyright: ignore[reportArgumentType]
    for step in (20, 40):
        state.step = step
        saver.save(is_last=False)
    of_first = [("listed", 0), ("metrics", 20), ("written",), ("reported", 20)]
    assert it.done == [*of_first, ("listed", 20), ("metrics", 40), ("written",), ("reported", 40)]


def test_a_worker_asks_until_its_checkpoint_is_listed(monkeypatch):
    """However often the time of one question is over; nothing is asked before the first checkpoint."""
    listed = [SimpleNamespace(metrics={"step": step}) for step in (20, 40)]
    answers = [listed[:1], listed[:1], listed]
    monkeypatch.setattr("ray.train.get_all_reported_checkpoints", lambda *_, **__: answers.pop(0))
    worker = RayTrainWorker.__new__(RayTrainWorker)
    worker.wait_until_listed(40)
    assert not answers
    assert is_listed(0, [])
