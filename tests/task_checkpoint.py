"""A run's checkpoint as training writes it, without the training."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import torch
from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.checkpoints import CONFIG, TENSORS, checkpoint_config
from torch import nn

from rspnet_core.pretext import PRETEXT_TASKS
from rspnet_core.pretext.task import PretextTask
from rspnet_core.pretext.task_config import TaskConfig


def write_checkpoint(
    folder: Path, config: TaskConfig, *, without: str | None = None, changes: Mapping[str, Any] | None = None
) -> PretextTask:
    """Of a task whose query and key networks differ; `changes` are of the stored config, which lacks the key `without`.
    Returns the task, in eval mode."""
    torch.manual_seed(0)
    task: PretextTask = resolve_name(PRETEXT_TASKS[config.task_name])(config)
    scatter(task.parameters())
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"task": task.state_dict(), "optimizer": {}}, folder / TENSORS)
    stored = checkpoint_config(PretrainConfig(task=config)) | dict(changes or {})
    (folder / CONFIG).write_text(json.dumps({key: value for key, value in stored.items() if key != without}))
    return task.eval()


def scatter(parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        with torch.no_grad():
            parameter.add_(0.05 * torch.randn_like(parameter))


def smaller(config: TaskConfig, crop_size: int = 32) -> TaskConfig:
    """The same for pictures of `crop_size`."""
    views = {"view": replace(config.view, crop_size=crop_size)}
    if hasattr(config, "second_view"):
        views["second_view"] = replace(config.second_view, crop_size=crop_size)  # pyright: ignore
    return replace(config, **views)
