"""Every pretext task small enough for a test, and batches as its own sampler plans them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

import torch
from torch import Tensor

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext import PRETEXT_TASKS
from rspnet_core.pretext.appearance_instance_config import AppearanceInstanceConfig
from rspnet_core.pretext.clip_order_config import ClipOrderConfig
from rspnet_core.pretext.cvrl_config import CVRLConfig
from rspnet_core.pretext.frame_order_config import FrameOrderConfig
from rspnet_core.pretext.moco_config import MoCoConfig
from rspnet_core.pretext.pace_config import PaceConfig
from rspnet_core.pretext.relative_speed_config import RelativeSpeedConfig
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.simclr_config import SimCLRConfig
from rspnet_core.pretext.speednet_config import SpeedNetConfig
from rspnet_core.pretext.task import PretextBatch, PretextTask, StepContext
from rspnet_core.pretext.task_config import TaskConfig
from rspnet_core.pretext.video_cloze_config import VideoClozeConfig
from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_cloze import ClipClozeSampler
from rspnet_core.sampling.clip_orders import ClipOrderSampler
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.independent_clips import IndependentClipSampler
from rspnet_core.sampling.paces import PaceSampler
from rspnet_core.sampling.speed_classes import SpeedClassSampler
from rspnet_core.sampling.speed_lists import SpeedListSampler
from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.temporal_intervals import TemporalIntervalSampler
from rspnet_core.schedules import ScheduleConfig
from rspnet_core.train_step import StepReport, train_step

NUM_FRAMES, SIDE = 40, 16
SGD = OptimizerConfig(learning_rate=0.05, base_batch_size=None, schedule=ScheduleConfig(kind="constant"))
FRAMES: dict[str, Any] = {"num_frames_per_clip": 4}
QUEUE: dict[str, Any] = {"encoder": "tiny", "embedding_dim": 8, "queue_size": 24}
BATCH: dict[str, Any] = {"encoder": "tiny", "embedding_dim": 8, "min_global_batch_size": 2, "sync_batch_norm": False}

CONFIGS: dict[str, TaskConfig] = {
    "rspnet": RSPNetConfig(**QUEUE, clips=SpeedPairSampler(**FRAMES)),
    "relative_speed": RelativeSpeedConfig(
        encoder="tiny", embedding_dim=8, clips=SpeedListSampler(**FRAMES, playback_speeds=(1, 2))
    ),
    "appearance_instance": AppearanceInstanceConfig(**QUEUE, clips=SpeedPairSampler(**FRAMES)),
    "cvrl": CVRLConfig(**BATCH, clips=TemporalIntervalSampler(**FRAMES)),
    "pace": PaceConfig(encoder="tiny", clips=PaceSampler(**FRAMES), normalisation="zero_to_one"),
    "speednet": SpeedNetConfig(encoder="tiny", clips=SpeedClassSampler(**FRAMES)),
    "clip_order": ClipOrderConfig(encoder="tiny", clips=ClipOrderSampler(**FRAMES, num_frames_between=2)),
    "video_cloze": VideoClozeConfig(
        encoder="tiny", clips=ClipClozeSampler(**FRAMES, num_frames_between=2, min_remote_distance=2)
    ),
    "frame_order": FrameOrderConfig(encoder="tiny"),
    "moco": MoCoConfig(**QUEUE, clips=IndependentClipSampler(**FRAMES, frame_stride=2)),
    "simclr": SimCLRConfig(**BATCH, clips=IndependentClipSampler(**FRAMES, frame_stride=2)),
}
"""One for each task, under its name."""

VARIANTS: dict[str, TaskConfig] = {
    "relative_speed, four speeds": replace(
        CONFIGS["relative_speed"], clips=SpeedListSampler(**FRAMES, playback_speeds=(1, 2, 3, 4))
    ),
    "relative_speed, trained keys": replace(CONFIGS["relative_speed"], key_network="trained"),
    "pace, contrast": replace(CONFIGS["pace"], clips=PaceSampler(**FRAMES, num_clips=2), contrast_weight=0.5),
    "video_cloze, pairwise": replace(CONFIGS["video_cloze"], classifier_kind="pairwise"),
    "moco, three clips": replace(CONFIGS["moco"], clips=IndependentClipSampler(**FRAMES, frame_stride=2, num_clips=3)),
    "simclr, three clips": replace(
        CONFIGS["simclr"], clips=IndependentClipSampler(**FRAMES, frame_stride=2, num_clips=3)
    ),
}
"""What else a task can be set to that changes what it computes."""

ALL = CONFIGS | VARIANTS


def build(config: TaskConfig) -> PretextTask:
    """Of the class that the config's name stands for; the same at each call."""
    torch.manual_seed(0)
    return resolve_name(PRETEXT_TASKS[config.task_name])(config)


def context(step: int = 0, num_steps: int = 100, seed: int = 0) -> StepContext:
    return StepContext(step=step, num_steps=num_steps, seed=seed)


def planned_batch(config: TaskConfig, videos: Iterable[int] = range(8), epoch: int = 0) -> PretextBatch:
    """The clips and labels that the config's sampler plans of these videos."""
    plans = {video: plan_of(config, video, epoch) for video in videos}
    return PretextBatch(
        clips=torch.stack(
            [
                torch.stack([pictures(video)[:, list(clip.frame_indices)] for clip in plan.clips])
                for video, plan in plans.items()
            ]
        ),
        playback_speeds=torch.tensor([[clip.playback_speed for clip in plan.clips] for plan in plans.values()]),
        labels=torch.tensor([plan.labels or (0,) for plan in plans.values()]),
        video_index=torch.tensor(list(plans)),
    )


def plan_of(config: TaskConfig, video: int, epoch: int) -> ClipPlan:
    info = VideoInfo(video_index=video, num_frames=NUM_FRAMES, frames_per_second=25.0, height=SIDE, width=SIDE)
    return config.clips.plan(info, random_stream(0, epoch, video, "clips"))


def pictures(video: int) -> Tensor:
    """[3, frames, side, side]: colours of its own, a grating that moves at one frame a step, and flicker."""
    generator = torch.Generator().manual_seed(video)
    colours = torch.randn(3, 1, 1, 1, generator=generator)
    phase = 6 * torch.rand((), generator=generator) + 0.5 * torch.arange(NUM_FRAMES)
    waves = torch.sin(0.8 * torch.arange(SIDE) - phase[:, None])[:, None, :]
    return colours + waves + 0.5 * torch.randn(3, NUM_FRAMES, SIDE, SIDE, generator=generator)


def steps(
    task: PretextTask,
    micro_batches: Sequence[PretextBatch],
    contexts: Iterable[StepContext],
    config: OptimizerConfig = SGD,
    optimizer: torch.optim.Optimizer | None = None,
    autocast_dtype: torch.dtype | None = None,
) -> list[StepReport]:
    """Whole optimizer steps, all on the same batch."""
    num_videos = sum(len(batch.video_index) for batch in micro_batches)
    optimizer = build_optimizer(task, config, num_videos) if optimizer is None else optimizer
    return [
        train_step(
            task=task,
            optimizer=optimizer,
            config=config,
            global_batch_size=num_videos,
            micro_batches=micro_batches,
            context=each,
            autocast_dtype=autocast_dtype,
        )
        for each in contexts
    ]


def permuted(batch: PretextBatch, order: Tensor) -> PretextBatch:
    return PretextBatch(**{name: tensor[order] for name, tensor in vars(batch).items()})
