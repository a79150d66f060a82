"""A run's whole task out of its checkpoint, heads included: a registered encoder has none."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pkgutil import resolve_name
from typing import Any

import torch

from rspnet_core.pretext import PRETEXT_TASKS
from rspnet_core.pretext.task import PretextTask
from rspnet_core.pretext.task_config import TaskConfig
from rspnet_platform import storage
from rspnet_platform.inference.stored_encoders import checkpoint_uri, local_copy, read_tensors
from rspnet_platform.tracking.redaction import redact

WITHOUT_HEADS = ("models:", "random:", "published:")


@dataclass(frozen=True, kw_only=True)
class CheckpointTask:
    """`task` is on the CPU in training mode; `uri` is the checkpoint's, without secrets."""

    config: TaskConfig
    task: PretextTask
    uri: str


def load_checkpoint_task(reference: str) -> CheckpointTask:
    """From a checkpoint's folder, or a run's (its newest complete checkpoint); local or in an object store.

    Raises ValueError for a model that has no heads, for what is no checkpoint, and for one that does not fit its own
    config. Nothing is unpickled.
    """
    from rspnet_platform.train.checkpoint_checksums import check_file, checksums_in
    from rspnet_platform.train.checkpoints import CONFIG, TENSORS

    if reference.startswith(WITHOUT_HEADS) or reference.endswith(".safetensors"):
        raise ValueError(
            f"model is {redact(reference)!r}, an encoder without the heads that it was trained with; accepted is the "
            "folder of a run or of one of its checkpoints, which has them"
        )
    uri = storage.resolve_uri(reference)
    if not storage.is_folder(uri):
        raise ValueError(f"model is {redact(reference)!r}, and no such folder is there; accepted is that of a run")
    uri = checkpoint_uri(uri)
    try:
        config = task_config(storage.read_json(storage.join(uri, CONFIG)))
        with local_copy(storage.join(uri, TENSORS)) as path:
            check_file(path, TENSORS, checksums_in(uri), uri)
            weights = read_tensors(path).get("task", {})
    except FileNotFoundError as error:
        raise ValueError(f"the checkpoint {redact(uri)} is not complete: {error}") from error
    task = build_task(config)
    try:
        task.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"the checkpoint {redact(uri)} does not fit its own config: {error}") from error
    return CheckpointTask(config=config, task=task, uri=redact(uri))


def build_task(config: TaskConfig) -> PretextTask:
    """Freshly initialised; leaves torch's global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return resolve_name(PRETEXT_TASKS[config.task_name])(config)


def task_config(flat: Mapping[str, Any]) -> TaskConfig:
    """The task's part of a run's config, which a checkpoint holds by dotted keys. Raises ValueError for a task that
    does not exist, a key that is missing, and a value that is refused."""
    name = flat.get("task.task_name")
    if name not in PRETEXT_TASKS:
        raise ValueError(
            f"the checkpoint's task.task_name is {name!r}; accepted are {', '.join(PRETEXT_TASKS)}. (Checkpoints that "
            "older code wrote do not name their task: resume the run for a step, or take a newer one.)"
        )
    module, class_name = PRETEXT_TASKS[name].split(":")
    return _filled(resolve_name(f"{module}_config:{class_name}Config")(), flat, "task.")


def _filled(default: Any, flat: Mapping[str, Any], prefix: str) -> Any:
    """A dataclass like `default` with the values of `flat`."""
    values = {}
    for field in fields(default):
        part, key = getattr(default, field.name), prefix + field.name
        if is_dataclass(part):
            values[field.name] = _filled(part, flat, f"{key}.")
        elif key in flat:
            values[field.name] = _with_tuples(flat[key])
        else:
            raise ValueError(f"the checkpoint's config lacks {key}; accepted is one with all keys of its task")
    return type(default)(**values)


def _with_tuples(value: Any) -> Any:
    """JSON knows lists alone."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
