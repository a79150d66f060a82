"""A run whose newest checkpoint is damaged goes on from the one before, and says so."""

from collections.abc import Callable

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.train.checkpoint_checksums import DamagedCheckpointError
from rspnet_platform.train.checkpoint_list import CHECKPOINT_LIST, DAMAGED_MARK, keeping


def fit_past_damaged_checkpoints(fit: Callable[[], None], run_uri: str) -> None:
    """Calls `fit`, and again for each checkpoint that it finds damaged. Raises DamagedCheckpointError where there is
    none before it: a run never begins anew by itself."""
    while True:
        try:
            return fit()
        except DamagedCheckpointError as error:
            step = drop_newest_checkpoint(run_uri, error)
            say(f"{error}. Going on from the checkpoint before, of step {step}; the damaged one is left where it is")


def drop_newest_checkpoint(run_uri: str, error: DamagedCheckpointError) -> int:
    """Takes it off the run's list, and returns the step of the one before. Raises `error` where there is none."""
    list_uri = storage.join(run_uri, CHECKPOINT_LIST)
    listed = storage.read_json(list_uri)
    damaged = listed["latest_checkpoint_result"]["checkpoint_dir_name"]
    listed = keeping(listed, lambda result: result["checkpoint_dir_name"] != damaged)
    others = listed["checkpoint_results"] + listed["pending_training_results"]
    if not others:
        raise DamagedCheckpointError(f"{error}; the run has no other") from error
    latest = max(others, key=lambda result: result["metrics"]["step"])
    storage.write_bytes(storage.join(run_uri, damaged, DAMAGED_MARK), f"{error}\n".encode())
    storage.write_json(list_uri, listed | {"latest_checkpoint_result": latest})
    return int(latest["metrics"]["step"])
