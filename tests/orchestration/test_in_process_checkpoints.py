"""A checkpoint that the run's own process cannot store is one error that says where."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.train import CheckpointConfig
from ray.train.v2._internal.execution.storage import StorageContext
from rspnet_platform.storage import StorageError
from rspnet_platform.train.in_process import InProcessWorker


def test_a_checkpoint_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A file has taken its place: pyarrow's error would not name it. The local copy is gone all the same."""
    storage: Any = StorageContext(storage_path=str(tmp_path), experiment_dir_name="run")
    storage.make_default_checkpoint_dir_name = lambda: "checkpoint_1"
    run_config: Any = SimpleNamespace(
        storage_context=storage,
        checkpoint_config=CheckpointConfig(),
        callbacks=[],
    )
    worker = InProcessWorker(run_config, None, cpus=1, use_gpu=False)
    local = tmp_path / "local"
    local.mkdir()
    (local / "state.pt").write_bytes(b"1")
    (tmp_path / "run" / "checkpoint_1").write_bytes(b"")
    with pytest.raises(StorageError, match=rf"cannot write the checkpoint {tmp_path}/run/checkpoint_1: "):
        worker.report({"step": 1}, local, is_validated=False)
    assert not local.exists()
