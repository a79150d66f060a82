"""A checkpoint holds all that makes the next step identical, and is read without unpickling anything."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train import Checkpoint

from rspnet_platform import storage
from rspnet_platform.config import TrainingRunConfig, flatten
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.temporary_folder import temporary_folder
from rspnet_platform.train.checkpoint_checksums import (
    CHECKSUMS,
    check_digest,
    check_file,
    checksums_in,
    write_checksums,
)
from rspnet_platform.train.run_storage import run_filesystem

TENSORS, DATA_STATE, CONFIG = "state.pt", "data.json", "config.json"


@dataclass(frozen=True, kw_only=True)
class DataState:
    """The part of a checkpoint that says where in the data the run is; small, and read without the rest."""

    step: int
    dataset_sha256: str
    consumed: ConsumedVideos

    def to_json(self) -> dict[str, Any]:
        return {"step": self.step, "dataset_sha256": self.dataset_sha256, "consumed": self.consumed.to_json()}

    @classmethod
    def from_json(cls, state: dict[str, Any]) -> "DataState":
        return cls(
            step=state["step"],
            dataset_sha256=state["dataset_sha256"],
            consumed=ConsumedVideos.from_json(state["consumed"]),
        )


def write_checkpoint(tensors: dict[str, Any], data_state: DataState, config: TrainingRunConfig) -> Path:
    """A fresh local folder with all of it. Raises what the disk raises."""
    folder = Path(tempfile.mkdtemp(prefix="checkpoint-", dir=temporary_folder()))
    try:
        torch.save(tensors, folder / TENSORS)
        (folder / DATA_STATE).write_text(json.dumps(data_state.to_json()))
        (folder / CONFIG).write_text(json.dumps(checkpoint_config(config), indent=2))
        write_checksums(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def checkpoint_config(config: TrainingRunConfig) -> dict[str, Any]:
    """The run's config by its dotted keys, and what no field holds but readers of a checkpoint need."""
    task = config.task
    return flatten(config) | {
        "task.task_name": task.task_name,
        "task.clips.num_frames_per_clip": task.clips.num_frames_per_clip,
    }


def load_tensors(checkpoint: Checkpoint, device: torch.device | str = "cpu") -> dict[str, Any]:
    """The task's, optimizer's and other tensors. DamagedCheckpointError for what is not as it was saved."""
    with checkpoint.as_directory() as folder:
        check_file(Path(folder) / TENSORS, TENSORS, checksums_in(folder), checkpoint.path)
        return torch.load(Path(folder) / TENSORS, map_location=device, weights_only=True)


def load_data_state(checkpoint: Checkpoint) -> DataState:
    """Reads two small files, wherever the checkpoint lies. DamagedCheckpointError for what is not as it was saved."""
    content = _small_file(checkpoint, DATA_STATE)
    try:
        checksums = json.loads(_small_file(checkpoint, CHECKSUMS))
    except FileNotFoundError:  # of an older version
        checksums = {}
    check_digest(hashlib.sha256(content).hexdigest(), DATA_STATE, checksums, checkpoint.path)
    return DataState.from_json(json.loads(content))


def _small_file(checkpoint: Checkpoint, name: str) -> bytes:
    assert checkpoint.filesystem is not None
    with checkpoint.filesystem.open_input_stream(f"{checkpoint.path}/{name}") as stream:
        return stream.read()


def checkpoint_at(uri: str) -> Checkpoint:
    """The checkpoint in a folder."""
    filesystem, path = run_filesystem(uri)
    return Checkpoint(path, filesystem)


def latest_checkpoint(run_uri: str) -> Checkpoint | None:
    """The run's last complete checkpoint, or None before the first."""
    if not storage.exists(storage.join(run_uri, "checkpoint_manager_snapshot.json")):
        return None
    filesystem, path = run_filesystem(run_uri)
    return ray.train.Result.from_path(path, storage_filesystem=filesystem).checkpoint
