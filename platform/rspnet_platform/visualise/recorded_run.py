"""A run as its folder tells of it: config, checkpoint, and under which name it is tracked."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rspnet_platform import storage
from rspnet_platform.home import default_home
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import TrackingConfig, resolve_tracking_uri
from rspnet_platform.train.run_record import RECORD, RunRecord

CAMPAIGN_RECORD = "finetune.json"
RECIPE_FILE = "recipe.json"
"""The recipe's own values at the run's beginning: later code may say otherwise."""


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """`config` and `recipe` are by dotted keys, `recipe` None where it was not kept; `method` and `clips_per_step` are
    None before the first checkpoint; `checkpoint` is the folder of the registered one, before that of the newest."""

    uri: str
    tracking_uri: str
    record: RunRecord
    config: Mapping[str, Any]
    recipe: Mapping[str, Any] | None
    method: str | None
    clips_per_step: int | None
    checkpoint: str | None

    @property
    def name(self) -> str:
        return self.uri.rsplit("/", 1)[-1]

    @property
    def mlflow_run_id(self) -> str:
        return self.record.mlflow_run_id

    @property
    def is_finetuning(self) -> bool:
        return "test.num_clips_per_crop" in self.config


def read_recorded_run(run: str, tracking: TrackingConfig) -> RecordedRun:
    """Of a run's folder, local or in an object store. Raises ValueError for a folder that is none."""
    uri = storage.resolve_uri(run).rstrip("/")
    record = RunRecord.load(uri)
    if record is None:
        raise ValueError(f"run is {redact(run)!r}, which is no run's folder: {_what_is_there(uri)}")
    return recorded_run(uri, record, tracking_uri_of(record, tracking))


def recorded_run(uri: str, record: RunRecord, tracking_uri: str) -> RecordedRun:
    """Raises StorageError where the folder cannot be read."""
    from rspnet_platform.train.checkpoint_list import newest_checkpoint_uri
    from rspnet_platform.train.checkpoints import CONFIG

    registered = record.registered_checkpoint
    checkpoint = storage.join(uri, registered) if registered else newest_checkpoint_uri(uri)
    trained = {} if checkpoint is None else storage.read_json(storage.join(checkpoint, CONFIG))
    recipe_uri = storage.join(uri, RECIPE_FILE)
    return RecordedRun(
        uri=uri,
        tracking_uri=tracking_uri,
        record=record,
        config=record.config,
        recipe=storage.read_json(recipe_uri) if storage.exists(recipe_uri) else None,
        method=trained.get("task.task_name"),
        clips_per_step=_clips_per_step(trained),
        checkpoint=checkpoint,
    )


def keep_recipe(run_uri: str, recipe: Mapping[str, Any]) -> None:
    """At the run's beginning alone: what a run that goes on is compared with stays."""
    uri = storage.join(run_uri, RECIPE_FILE)
    if not storage.exists(uri):
        storage.write_json(uri, dict(recipe))


def tracking_uri_of(record: RunRecord, tracking: TrackingConfig) -> str:
    """As asked for, else the run's own, unless a password was taken out of that."""
    own = record.config.get("tracking.uri")
    if tracking.uri or os.environ.get("MLFLOW_TRACKING_URI") or not own or "***" in own:
        return resolve_tracking_uri(tracking, default_home())
    return own


def _clips_per_step(trained: Mapping[str, Any]) -> int | None:
    """Of a pretext task's checkpoint; fine-tuning trains on one clip a video."""
    from rspnet_core.pretext import PRETEXT_TASKS
    from rspnet_platform.visualise.checkpoint_task import task_config

    if not trained:
        return None
    is_pretext = trained.get("task.task_name") in PRETEXT_TASKS
    num_clips = task_config(trained).clips.num_clips if is_pretext else 1
    return trained["training.global_batch_size"] * num_clips


def _what_is_there(uri: str) -> str:
    if not storage.is_folder(uri):
        return "there is no such folder; accepted is the one that a job prints as storage"
    if storage.exists(storage.join(uri, CAMPAIGN_RECORD)):
        runs = [name for name in storage.list_names(uri) if storage.exists(storage.join(uri, name, RECORD))]
        return (
            f"it holds fine-tuning runs; accepted is the folder of one of them: {', '.join(runs) or 'none has begun'}"
        )
    return f"it has no {RECORD}; accepted is the folder that a job prints as storage"
