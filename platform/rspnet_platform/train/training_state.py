"""What one worker trains: the task, its optimizer, and how far both and the data have come."""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import torch
from ray.train import Checkpoint
from torch import nn

from rspnet_core.augmentation import to_clips
from rspnet_core.clip_batch import ClipBatch
from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext import PRETEXT_TASKS
from rspnet_core.pretext.task import PretextBatch, PretextTask, StepContext
from rspnet_core.recognition import RECOGNITION_TASKS
from rspnet_core.train_step import StepReport, train_step
from rspnet_platform.config import TrainingRunConfig
from rspnet_platform.cpu_threads import use_all_cores_of
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.train.checkpoints import load_tensors
from rspnet_platform.train.worker import Worker

TASKS = PRETEXT_TASKS | RECOGNITION_TASKS


def build_task(config: TrainingRunConfig) -> PretextTask:
    """The task as a run with this seed begins it; leaves torch's global generator as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(config.training.seed)
        return resolve_name(TASKS[config.task.task_name])(config.task)


def encoder_in(config: TrainingRunConfig, checkpoint: Checkpoint) -> VideoEncoder:
    task = build_task(config)
    task.load_state_dict(load_tensors(checkpoint)["task"])
    return task.encoder


@dataclass(kw_only=True)
class TrainingState:
    """`wrapped` is `task`, in DistributedDataParallel where there are several workers."""

    config: TrainingRunConfig
    task: PretextTask
    wrapped: nn.Module
    optimizer: torch.optim.Optimizer
    device: torch.device
    num_steps: int
    num_micro_batches: int = 1
    step: int = 0
    consumed: ConsumedVideos

    @classmethod
    def create(
        cls,
        worker: Worker,
        config: TrainingRunConfig,
        *,
        num_steps: int,
        consumed: ConsumedVideos,
        build: Callable[[TrainingRunConfig], PretextTask] = build_task,
    ) -> "TrainingState":
        use_all_cores_of(worker.device, num_processes=worker.num_workers_on_node)
        task = build(config)
        if config.task.sync_batch_norm and worker.num_workers > 1:
            converted = nn.SyncBatchNorm.convert_sync_batchnorm(task)
            assert isinstance(converted, PretextTask)
            task = converted
        wrapped = worker.prepare(task)
        task = wrapped.module if isinstance(wrapped, nn.parallel.DistributedDataParallel) else wrapped
        assert isinstance(task, PretextTask)
        return cls(
            config=config,
            task=task,
            wrapped=wrapped,
            optimizer=build_optimizer(
                task, config.optimizer, config.training.global_batch_size, task.learning_rate_factors()
            ),
            device=worker.device,
            num_steps=num_steps,
            num_micro_batches=config.training.num_micro_batches(worker.num_workers),
            consumed=consumed,
        )

    def train_on(self, batch: ClipBatch) -> StepReport:
        """One optimizer step. Raises NonFiniteLossError, naming the step."""
        batch = batch.to(self.device)
        report = train_step(
            task=self.task,
            wrapped=self.wrapped,
            optimizer=self.optimizer,
            config=self.config.optimizer,
            global_batch_size=self.config.training.global_batch_size,
            micro_batches=self._pretext_batch(batch).split(self.num_micro_batches),
            context=StepContext(step=self.step, num_steps=self.num_steps, seed=self.config.training.seed),
            autocast_dtype=torch.bfloat16 if self.config.training.precision == "bf16" else None,
        )
        self.step += 1
        return report

    def _pretext_batch(self, batch: ClipBatch) -> PretextBatch:
        return PretextBatch(
            clips=to_clips(batch.planes, batch.view_numbers, self.config.task.normalisation),
            playback_speeds=batch.playback_speeds,
            labels=batch.labels,
            video_index=batch.video_index,
        )

    def tensors(self) -> dict[str, Any]:
        return {"task": self.task.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, tensors: dict[str, Any], *, step: int, consumed: ConsumedVideos) -> None:
        self.task.load_state_dict(tensors["task"])
        self.optimizer.load_state_dict(tensors["optimizer"])
        self.step, self.consumed = step, consumed
