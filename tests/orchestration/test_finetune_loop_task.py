"""What the loop is handed for fine-tuning: weights, labels, and each epoch's weights kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rspnet_platform.finetune.recognition_loop_task import (
    RecognitionLoopTask,
    completed_epoch,
    epoch_uri,
    kept_epochs,
    read_weights,
    write_weights,
)
from rspnet_platform.finetune.selection import merit
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.train.training_state import TrainingState, build_task

from jobs.recipe_files.finetune import tiny
from rspnet_core.clip_batch import ClipBatch
from rspnet_core.optimizers import build_optimizer

CONFIG = replace(tiny(), task=replace(tiny().task, num_classes=3))


def make_loop_task(folder: Path, **changes) -> RecognitionLoopTask:
    values = {
        "class_of_video": np.array([2, -1, 0, 1], dtype=np.int32),
        "weights_uri": None,
        "epochs_uri": str(folder / "epochs"),
        "num_videos_per_epoch": 80,
    }
    return RecognitionLoopTask(**values | changes)


def batch_of(video_indices: list[int]) -> ClipBatch:
    size = len(video_indices)
    return ClipBatch(
        planes=torch.zeros(size, 1, 2, 6, 4, dtype=torch.uint8),
        view_numbers=torch.zeros(size, 1, 2, 10),
        playback_speeds=torch.ones(size, 1),
        labels=torch.zeros(size, 1, dtype=torch.int64),
        video_index=torch.tensor(video_indices),
        epoch=torch.zeros(size, dtype=torch.int64),
    )


def test_each_video_gets_its_own_class(tmp_path):
    """By its index, whatever the batch's order; all else stays."""
    batch = batch_of([3, 0, 2])
    labelled = make_loop_task(tmp_path).labelled(batch)
    assert labelled.labels.tolist() == [[1], [2], [0]]
    assert labelled.video_index is batch.video_index


def test_a_video_that_is_not_to_be_trained_on_is_noticed(tmp_path):
    """A stream that brought it would be our mistake."""
    with pytest.raises(AssertionError, match="a video that is not to be trained on"):
        make_loop_task(tmp_path).labelled(batch_of([0, 1]))


def test_a_task_begins_from_the_weights_it_is_given(tmp_path):
    """The encoder's bit for bit; the classifier's are drawn from the seed."""
    encoder = build_seeded("tiny", seed=5)
    uri = str(tmp_path / "encoder.safetensors")
    write_weights(uri, encoder.state_dict())
    given = make_loop_task(tmp_path, weights_uri=uri).build(CONFIG).state_dict()
    drawn = build_task(CONFIG).state_dict()
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(given[f"encoder.{name}"], tensor)
    assert torch.equal(given["classifier.weight"], drawn["classifier.weight"])
    assert not torch.equal(given["encoder.blocks.0.0.weight"], drawn["encoder.blocks.0.0.weight"])


def test_an_epochs_weights_are_kept_when_it_is_complete(tmp_path):
    """Batches of 32 complete epochs of 80 videos with the steps 3, 5 and 8."""
    task = build_task(CONFIG)
    state = TrainingState(
        config=CONFIG,
        task=task,
        wrapped=task,
        optimizer=build_optimizer(task, CONFIG.optimizer, 32),
        device=torch.device("cpu"),
        num_steps=8,
        consumed=ConsumedVideos(num_videos=80, num_videos_per_epoch=80),
    )
    loop_task = make_loop_task(tmp_path)
    for step in range(1, 9):
        state.step = step
        torch.nn.init.constant_(task.get_parameter("classifier.bias"), float(step))
        loop_task.keep(state)
    assert kept_epochs(str(tmp_path / "epochs")) == [1, 2, 3]
    kept = [read_weights(epoch_uri(str(tmp_path / "epochs"), epoch)) for epoch in (1, 2, 3)]
    assert [weights["classifier.bias"].tolist() for weights in kept] == [[3.0] * 3, [5.0] * 3, [8.0] * 3]
    assert kept[0].keys() == task.state_dict().keys()


def test_weights_are_read_as_they_were_written(tmp_path):
    """A changed byte is found out, in the tensors and in what describes them."""
    uri = str(tmp_path / "weights.safetensors")
    write_weights(uri, {"weight": torch.arange(4.0)})
    assert read_weights(uri)["weight"].tolist() == [0, 1, 2, 3]
    written = Path(uri).read_bytes()
    Path(uri).write_bytes(written[:-1] + b"\x41")
    with pytest.raises(ValueError, match=rf"the weights in {uri} have SHA-256"):
        read_weights(uri)
    Path(uri).write_bytes(written[:9] + b"?" + written[10:])
    with pytest.raises(ValueError, match=rf"{uri} is not a safetensors file"):
        read_weights(uri)


def test_without_validation_no_epoch_is_kept(tmp_path):
    """They would fill a disk for nothing."""
    task = build_task(CONFIG)
    state = TrainingState(
        config=CONFIG,
        task=task,
        wrapped=task,
        optimizer=build_optimizer(task, CONFIG.optimizer, 32),
        device=torch.device("cpu"),
        num_steps=8,
        step=5,
        consumed=ConsumedVideos(num_videos=80, num_videos_per_epoch=80),
    )
    make_loop_task(tmp_path, epochs_uri=None).keep(state)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("num_videos", [8, 9, 13, 24, 25])
def test_each_epoch_is_completed_once(num_videos: int):
    """Against counting videos one by one."""
    completed = {}
    for step in range(1, 40):
        for video in range((step - 1) * 8 + 1, step * 8 + 1):
            if video % num_videos == 0:
                completed[step] = video // num_videos
    assert {step: completed_epoch(step, 8, num_videos) for step in range(1, 40)} == {
        step: completed.get(step) for step in range(1, 40)
    }


def test_of_equal_accuracies_the_surer_epoch_is_better():
    """Top-1 decides first, then the probability of the true classes."""
    labels = np.array([0, 1])
    unsure, sure = np.array([[0.6, 0.4], [0.4, 0.6]]), np.array([[0.9, 0.1], [0.1, 0.9]])
    wrong_once = np.array([[1.0, 0.0], [0.51, 0.49]])
    assert merit(wrong_once, labels) < merit(unsure, labels) < merit(sure, labels)
    assert merit(sure, labels) == pytest.approx((1.0, 0.9))
