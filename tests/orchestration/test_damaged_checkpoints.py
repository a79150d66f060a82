"""A checkpoint whose bytes have changed is never gone on with; the run goes back to the one before."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from ray.train import Checkpoint
from rspnet_platform.inference.model_reference import load_model
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.train.checkpoint_checksums import CHECKSUMS, DamagedCheckpointError
from rspnet_platform.train.checkpoint_list import CHECKPOINT_LIST
from rspnet_platform.train.checkpoints import (
    DATA_STATE,
    TENSORS,
    DataState,
    checkpoint_at,
    latest_checkpoint,
    load_data_state,
    load_tensors,
    write_checkpoint,
)
from rspnet_platform.train.damaged_checkpoints import fit_past_damaged_checkpoints
from rspnet_platform.train.failure_notice import storage_error_in

from jobs.recipes import tiny_cpu


def save(run: Path, step: int, shards: str | None = None) -> Path:
    state = DataState(step=step, dataset_sha256="abc", consumed=ConsumedVideos(num_videos=24, num_videos_per_epoch=24))
    run.mkdir(exist_ok=True)
    config = tiny_cpu()
    config = replace(config, data=replace(config.data, shards=shards))
    return write_checkpoint({"task": {"weight": torch.arange(1000.0)}}, state, config).rename(
        run / f"checkpoint_{step}"
    )


def listed(run: Path, *steps: int) -> None:
    """As Ray Train lists them, the last one as the newest."""
    results = [{"version": 0, "checkpoint_dir_name": f"checkpoint_{step}", "metrics": {"step": step}} for step in steps]
    content = {
        "ray_version": "2.60.0",
        "checkpoint_results": results,
        "checkpoint_report_indices": list(range(len(steps))),
        "latest_checkpoint_result": results[-1],
        "pending_training_results": [],
        "pending_validation_specs": [],
        "current_report_index": len(steps),
        "validated_checkpoint_dir_names": [],
        "timed_out_validation_checkpoint_dir_names": [],
        "failed_validation_checkpoint_dir_names": [],
    }
    (run / CHECKPOINT_LIST).write_text(json.dumps(content))


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_changed_bit_is_found_out(small_dataset, tmp_path, capsys):
    """In the tensors and in the position in the data, by whoever reads them; the error names file and both hashes. A
    checkpoint of an older version, without hashes, is read, and that is said."""
    folder = save(tmp_path / "run", 20, small_dataset.uri)
    checkpoint = checkpoint_at(str(folder))
    assert load_data_state(checkpoint).step == 20
    assert load_tensors(checkpoint)["task"]["weight"][-1] == 999
    for name, read in ((TENSORS, load_tensors), (DATA_STATE, load_data_state)):
        whole = (folder / name).read_bytes()
        flip_a_bit(folder / name)
        message = rf"{name} of the checkpoint {folder} has SHA-256 [0-9a-f]{{64}}, and [0-9a-f]{{64}} was recorded"
        with pytest.raises(DamagedCheckpointError, match=message):
            read(checkpoint)
        if name == TENSORS:
            with pytest.raises(DamagedCheckpointError, match=message):
                load_model(str(folder), "")
        (folder / name).write_bytes(whole)
    unchecked = f"the checkpoint {folder} has no recorded SHA-256: its {TENSORS} is loaded unchecked"
    assert unchecked not in capsys.readouterr().err
    (folder / CHECKSUMS).unlink()
    assert load_data_state(checkpoint).step == 20
    assert load_tensors(checkpoint)["task"]["weight"][-1] == 999
    assert unchecked in capsys.readouterr().err


def test_the_run_goes_back_to_the_last_whole_checkpoint(tmp_path, capsys):
    """Over two that are damaged, with a line for each; with none left it ends with the error, and its list stays."""
    run = tmp_path / "run"
    folders = {step: save(run, step) for step in (20, 40, 60)}
    listed(run, 20, 40, 60)
    flip_a_bit(folders[40] / TENSORS)
    flip_a_bit(folders[60] / TENSORS)

    def fit() -> None:
        newest = latest_checkpoint(str(run))
        assert isinstance(newest, Checkpoint)
        load_tensors(newest)

    fit_past_damaged_checkpoints(fit, str(run))
    newest = latest_checkpoint(str(run))
    assert newest is not None
    assert load_data_state(newest).step == 20
    said = capsys.readouterr().err
    assert [f"of step {step}; the damaged one is left where it is" in said for step in (40, 20)] == [True, True]
    flip_a_bit(folders[20] / TENSORS)
    with pytest.raises(DamagedCheckpointError, match="the run has no other"):
        fit_past_damaged_checkpoints(fit, str(run))
    newest = latest_checkpoint(str(run))
    assert newest is not None
    assert newest.path == str(folders[20])


def test_a_workers_error_is_still_known_as_damage():
    """However deep Ray has wrapped it."""
    error = RuntimeError("failed")
    error.__cause__ = DamagedCheckpointError("state.pt is damaged\nadvice")
    found = storage_error_in([error])
    assert isinstance(found, DamagedCheckpointError)
    assert str(found) == "state.pt is damaged"
