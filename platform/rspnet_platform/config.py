"""The root of a run's config: one dataclass, of the parts that stand beside what they configure."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import tyro

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.task_config import TaskConfig
from rspnet_platform.inference.evaluation_config import EvaluationConfig
from rspnet_platform.stream.data_config import DataConfig
from rspnet_platform.tracking.tracking_config import TrackingConfig
from rspnet_platform.train.train_config import RunIdentity, ScalingOptions, TrainingConfig
from rspnet_platform.validation.validation_options import ValidationOptions


@dataclass(frozen=True, kw_only=True)
class TrainingRunConfig:
    """What every training run is made of; `task` is of the class that the method has.

    A recipe returns one; the command line changes single values, but not `recipe`, the name that the recipe gives
    itself."""

    recipe: tyro.conf.Suppress[tyro.conf.Fixed[str]] = "custom"
    task: TaskConfig = field(default_factory=RSPNetConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    scaling: ScalingOptions = field(default_factory=ScalingOptions)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    run: RunIdentity = field(default_factory=RunIdentity)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(TrainingRunConfig):
    """And what the encoder is asked during its pretraining and at the end."""

    validation: ValidationOptions = field(default_factory=ValidationOptions)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """`{"task.clips.num_frames_per_clip": 16, ...}`: the same dotted keys as on the command line."""
    return dict(_leaves(config, prefix))


def _leaves(config: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for part in fields(config):
        value = getattr(config, part.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{part.name}.")
        else:
            yield f"{prefix}{part.name}", list(value) if isinstance(value, tuple) else value
