"""What cannot be run is refused with one message, before the walk asks for Ray or anything is written."""

from pathlib import Path

import pytest
from rspnet_platform.command_line import USER_ERRORS, parse_recipe
from rspnet_platform.pretraining import pretrain
from rspnet_platform.train.requirements import check_batch_norm

from jobs.recipes import DEFAULT_RECIPE, RECIPES

SMALL = (
    "--task.clips.num-frames-per-clip 4 --task.view.crop-size 32 --task.queue-size 16 --training.global-batch-size 8"
)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--data.shards /nowhere", "/nowhere is not a data set: no dataset.json; make one with"),
        ("--data.split test", None),
        ("--training.global-batch-size 25", "a global batch of 25 exceeds the 24 videos to train on"),
        ("--scaling.num-workers 3", "a global batch of 8 does not divide among 3 workers"),
        ("--scaling.num-workers 2:4", "a global batch of 8 does not divide among 3 workers"),
        ("--task.queue-size 4", "global_batch_size is 8; accepted are up to 4: the keys of one batch must fit"),
        (
            "--task.no-mask-same-video --task.queue-size 24",
            "24 videos; accepted are 25 or more: without",
        ),
        ("--tracking.uri http://127.0.0.1:9", "no answer from the tracking store http://127.0.0.1:9"),
        ("--tracking.uri runs", "where MLflow 3 cannot keep runs"),
        ("--task.encoder c3d", "C3D is given clips of 4 frames, 32 x 32 pixels; accepted are at least 8 frames"),
        ("--task.clips.past-the-end reject --task.clips.num-frames-per-clip 16", "20 frames; 31 are needed for 16"),
    ],
)
def test_a_run_that_cannot_be_is_refused(small_dataset, tmp_path: Path, monkeypatch, arguments, message):
    """Each names the value and what would be accepted. A data set without splits is taken whole, whatever the split."""
    monkeypatch.setattr("rspnet_platform.runtime.connect", stop_here)
    own = (
        f"--data.shards {small_dataset.uri} --run.storage {tmp_path}/runs --tracking.uri sqlite:///{tmp_path}/mlflow.db"
    )
    config = parse_recipe(RECIPES, DEFAULT_RECIPE, f"{own} {SMALL} {arguments}".split(), program="pretrain.py")
    if message is None:
        with pytest.raises(StoppedError):
            pretrain(config)
        return
    with pytest.raises(USER_ERRORS, match=message.replace(".", r"\.")):
        pretrain(config)
    assert not (tmp_path / "runs").exists()


def test_a_batch_in_parts_is_refused_where_videos_are_compared(small_dataset, tmp_path: Path):
    """CVRL's negatives are the batch: parts of it would be another method, and nothing is written."""
    arguments = (
        f"--data.shards {small_dataset.uri} --run.storage {tmp_path}/runs --tracking.uri sqlite:///{tmp_path}/mlflow.db"
        " --training.global-batch-size 8 --training.max-batch-size-per-worker 4"
    )
    config = parse_recipe(RECIPES, DEFAULT_RECIPE, ["tiny_cvrl", *arguments.split()], program="pretrain.py")
    with pytest.raises(ValueError, match=r"in 2 parts \(max_batch_size_per_worker\); accepted is one"):
        pretrain(config)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("use_gpu", "max_workers", "is_refused"), [(False, 2, True), (False, 1, False), (True, 2, False)]
)
def test_batch_norm_is_synchronised_on_gpus_or_on_one_worker(use_gpu: bool, max_workers: int, is_refused: bool):
    """Elsewhere torch cannot, and a run without it would be another method."""
    config = RECIPES["cvrl_r3d50"]()
    if is_refused:
        with pytest.raises(ValueError, match="sync_batch_norm is True with 2 workers without GPUs"):
            check_batch_norm(config, use_gpu=use_gpu, max_workers=max_workers)
    else:
        check_batch_norm(config, use_gpu=use_gpu, max_workers=max_workers)


class StoppedError(Exception):
    """Everything was accepted, and Ray would have been started."""


def stop_here() -> None:
    raise StoppedError
