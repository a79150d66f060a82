"""What the loop asks of the process that it runs in, and the workers of Ray Train as answer.

`in_process.py` has the other answer: the process that was started by hand.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import ray.train
import ray.train.torch
import torch
from ray.train import (
    Checkpoint,
    CheckpointConsistencyMode,
    CheckpointUploadMode,
    ReportedCheckpoint,
    ReportedCheckpointStatus,
)
from torch import nn

from rspnet_core.pretext.task import PretextTask
from rspnet_platform.stream.training_dataset import TrainingStream

MAX_SECONDS_OF_ONE_WAIT = 10.0
"""For a checkpoint on its way, before its state is asked again."""


class Worker(Protocol):
    """`rank` of `num_workers`, of which `num_workers_on_node` share this machine's cores."""

    rank: int
    num_workers: int
    num_workers_on_node: int
    device: torch.device

    def prepare(self, task: PretextTask) -> nn.Module:
        """The task on the device, in DistributedDataParallel where there are several workers."""
        ...

    def newest_checkpoint(self) -> Checkpoint | None:
        """What the run goes on from; None where it begins."""
        ...

    def samples(self, stream: TrainingStream) -> Any:
        """This rank's part of the stream: a `ray.data.DataIterator`, which begins anew at each iteration."""
        ...

    def report(self, metrics: Mapping[str, float], folder: Path | None, *, is_validated: bool) -> None:
        """A barrier. Rank 0 alone hands in the `folder` of a checkpoint, which is deleted once it is in the run's
        storage, and says whether it is to be validated. Raises what the disk raises."""
        ...

    def wait_until_listed(self, reported_step: int) -> None:
        """Rank 0 returns once the checkpoint of `reported_step`, the last one, 0 for none, is what the run would go on
        from."""
        ...

    def is_validating(self, reported_step: int) -> bool:
        """Whether a checkpoint waits for its validation; `reported_step` is as of `wait_until_listed`."""
        ...

    def validate(self) -> None:
        """What was reported to be validated, where nobody does it beside the training."""
        ...

    @property
    def is_first(self) -> bool:
        return self.rank == 0


class RayTrainWorker(Worker):
    """`reads_alone`: the only worker reads the stream itself, where a process of its own shares one out to several."""

    def __init__(self, *, reads_alone: bool) -> None:
        context, device = ray.train.get_context(), ray.train.torch.get_device()
        assert isinstance(device, torch.device)
        self.rank, self.num_workers = context.get_world_rank(), context.get_world_size()
        self.num_workers_on_node, self.device = context.get_local_world_size(), device
        self._reads_alone = reads_alone

    def prepare(self, task: PretextTask) -> nn.Module:
        # Batch statistics stay each rank's own, unless synchronized; the queue is equal on all ranks by construction.
        return ray.train.torch.prepare_model(task, parallel_strategy_kwargs={"broadcast_buffers": False})

    def newest_checkpoint(self) -> Checkpoint | None:
        return ray.train.get_checkpoint()

    def samples(self, stream: TrainingStream) -> Any:
        return stream() if self._reads_alone else ray.train.get_dataset_shard("train")

    def report(self, metrics: Mapping[str, float], folder: Path | None, *, is_validated: bool) -> None:
        """The checkpoint is sent in the background: the previous one stays the latest until it is there."""
        if folder is None:
            ray.train.report(dict(metrics), checkpoint=None)
            return
        ray.train.report(
            dict(metrics),
            checkpoint=Checkpoint.from_directory(folder),
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=True,
            validation=is_validated,
        )

    def validate(self) -> None:
        """Ray Train has a task do it."""

    def is_validating(self, reported_step: int) -> bool:
        """As long as Ray Train does not know of the checkpoint that was reported last, that may wait for its own."""
        listed = listed_checkpoints(timeout_seconds=0.1)
        return not is_listed(reported_step, listed) or any(
            each.status == ReportedCheckpointStatus.PENDING_VALIDATION for each in listed
        )

    def wait_until_listed(self, reported_step: int) -> None:
        while not is_listed(reported_step, listed_checkpoints(timeout_seconds=MAX_SECONDS_OF_ONE_WAIT)):
            pass


def listed_checkpoints(*, timeout_seconds: float) -> list[ReportedCheckpoint]:
    """As Ray Train's controller has them: once it has all that this worker reported, or when the time is over."""
    return ray.train.get_all_reported_checkpoints(CheckpointConsistencyMode.COMMITTED, timeout_s=timeout_seconds)


def is_listed(reported_step: int, listed: Sequence[ReportedCheckpoint]) -> bool:
    return not reported_step or any(each.metrics.get("step") == reported_step for each in listed)
