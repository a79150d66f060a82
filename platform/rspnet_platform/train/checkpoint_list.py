"""Ray Train's list of a run's checkpoints, made to outlive a crash in the moment that it is written.

On a local disk Ray overwrites the file in place: a driver that is killed then, or a disk that is full, leaves it torn,
and Ray refuses to go on with the run. Object stores put files as a whole.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.train import UserCallback

from rspnet_platform import storage
from rspnet_platform.atomic_files import replacing
from rspnet_platform.command_line import say

CHECKPOINT_LIST = "checkpoint_manager_snapshot.json"
COPY = "checkpoint_manager_snapshot.copy.json"
DAMAGED_MARK = "damaged.txt"
"""In a checkpoint that was taken off the list for what a reader found, and is left for its user to look at."""
_CHECKPOINT = re.compile(r"checkpoint_\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.\d+")
"""As Ray Train names them."""


class CheckpointListKeeper(UserCallback):
    """Runs in Ray Train's controller, right after the list was written. What the copy names is there until the list
    was written again: Ray deletes old checkpoints after that."""

    def __init__(self, run_uri: str) -> None:
        self.run_uri = run_uri

    def after_report(self, run_context: Any, metrics: Any, checkpoint: Any) -> None:  # noqa: ARG002
        if storage.is_remote(self.run_uri):
            return
        with replacing(str(Path(self.run_uri, COPY))) as copy:
            copy.write(Path(self.run_uri, CHECKPOINT_LIST).read_bytes())


def mend_checkpoint_list(run_uri: str) -> None:
    """Before a run goes on: puts the copy in the place of a list that is torn. Without a copy there was no checkpoint
    yet, and the run begins anew."""
    path, copy = Path(run_uri, CHECKPOINT_LIST), Path(run_uri, COPY)
    if storage.is_remote(run_uri) or not path.exists() or is_whole(path):
        return
    say(f"{path} was torn when the run was ended; going on from the checkpoint before")
    if is_whole(copy):
        with replacing(str(path)) as mended:
            mended.write(json.dumps(without_deleted(json.loads(copy.read_bytes()), run_uri)).encode())
    else:
        path.unlink()


def delete_unlisted_checkpoints(run_uri: str) -> None:
    """Of a run that nobody trains now: what was on its way when an attempt died, or did not fit on the disk. Nothing
    goes on from what the list does not name. Without a list nothing is deleted: it may have been lost, and they not.
    Where the store does not delete one a line says so, and the run goes on."""
    listed = listed_names(run_uri)
    found = set(filter(_CHECKPOINT.fullmatch, storage.list_names(run_uri)))
    if listed is None:
        if found:
            say(f"{run_uri} has {len(found)} checkpoints and no {CHECKPOINT_LIST} that names them: the run begins anew")
        return
    for name in sorted(found - listed):
        if storage.exists(storage.join(run_uri, name, DAMAGED_MARK)):
            continue
        try:
            storage.delete_folder(storage.join(run_uri, name))
            say(f"deleted {storage.join(run_uri, name)}: left by an attempt that was ended, and not in the run's list")
        except storage.StorageError as error:
            say(f"{error}; it is left there")


def listed_names(run_uri: str) -> set[str] | None:
    """Folders of the checkpoints that the run's list names, be they validated or not; None without a list."""
    try:
        listed = storage.read_json(storage.join(run_uri, CHECKPOINT_LIST))
    except FileNotFoundError:
        return None
    results = [*listed["checkpoint_results"], *listed["pending_training_results"], listed["latest_checkpoint_result"]]
    return {result["checkpoint_dir_name"] for result in results if result is not None}


def without_deleted(listed: dict[str, Any], run_uri: str) -> dict[str, Any]:
    """A list that names no checkpoint that is gone: since it was copied, a validation may have ended and let some be
    deleted, but never the latest."""

    def is_there(result: dict[str, Any]) -> bool:
        return Path(run_uri, result["checkpoint_dir_name"]).is_dir()

    return keeping(listed, is_there)


def keeping(listed: dict[str, Any], is_kept: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """A list of these of its checkpoints alone. It still names its latest."""
    results, pending = listed["checkpoint_results"], listed["pending_training_results"]
    return listed | {
        "checkpoint_results": [result for result in results if is_kept(result)],
        "checkpoint_report_indices": [
            index for result, index in zip(results, listed["checkpoint_report_indices"], strict=True) if is_kept(result)
        ],
        "pending_training_results": [result for result in pending if is_kept(result)],
        "pending_validation_specs": [
            specification
            for result, specification in zip(pending, listed["pending_validation_specs"], strict=True)
            if is_kept(result)
        ],
    }


def newest_checkpoint_uri(run_uri: str) -> str | None:
    """The folder of the run's newest complete checkpoint, or None before the first. Changes nothing: the run may be
    going on, and the list be torn in this very moment."""
    for name in (CHECKPOINT_LIST, COPY):
        try:
            newest = storage.read_json(storage.join(run_uri, name)).get("latest_checkpoint_result")
        except FileNotFoundError:
            continue
        except storage.StorageError:
            if storage.is_remote(run_uri):
                raise
            continue
        return storage.join(run_uri, newest["checkpoint_dir_name"]) if newest else None
    return None


@dataclass(frozen=True, kw_only=True)
class ScoredCheckpoint:
    """Its folder, the step that it was saved after, and its score."""

    uri: str
    step: int
    score: float


def best_checkpoint(run_uri: str, score: str) -> ScoredCheckpoint | None:
    """Of a run that has ended: the validated checkpoint with the highest `score`, the later of equals; None without any
    that is validated. `score` names the metric that Ray Train keeps checkpoints by."""
    listed = storage.read_json(storage.join(run_uri, CHECKPOINT_LIST))
    validated = set(listed["validated_checkpoint_dir_names"])
    scored = [
        ScoredCheckpoint(
            uri=storage.join(run_uri, result["checkpoint_dir_name"]),
            step=int(result["metrics"]["step"]),
            score=result["metrics"][score],
        )
        for result in listed["checkpoint_results"]
        if result["checkpoint_dir_name"] in validated and score in result["metrics"]
    ]
    return max(scored, key=lambda checkpoint: (checkpoint.score, checkpoint.step), default=None)


def is_whole(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return False
    return True
