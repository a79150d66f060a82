"""Which weights of a run are tested: chosen on the validation videos, by networks whose answers are known."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rspnet_platform.finetune import selection
from rspnet_platform.finetune.one_run import test_scores as scores_of_test
from rspnet_platform.finetune.recognition_loop_task import epoch_uri, write_weights
from rspnet_platform.finetune.recognition_videos import RecognitionVideos
from rspnet_platform.finetune.scoring import VideoProbabilities
from rspnet_platform.finetune.selection import LAST, best_of, candidate_names, choose
from rspnet_platform.train.training_state import build_task

from jobs.recipe_files.finetune import tiny
from rspnet_core.recognition.recognition import Recognition

CONFIG = replace(
    tiny(),
    task=replace(tiny().task, num_classes=3),
    training=replace(tiny().training, global_batch_size=1),
)
VIDEOS = RecognitionVideos(
    class_names=("a", "b", "c"),
    class_of_video=np.array([0, 1, 2, 1, 1, 0], dtype=np.int32),
    train=np.array([0, 1, 2]),
    validation=np.array([3, 4]),
    test=np.array([2, 5]),
)
ANSWERS = {"1": 0, "2": 1, LAST: 2}
"""The class that each candidate gives to every video: epoch 2 is right for all validation videos and no test video."""


def weights_that_answer(class_number: int) -> dict[str, torch.Tensor]:
    weights = task().state_dict()
    weights["classifier.bias"] = torch.eye(3)[class_number] * 9
    weights["classifier.weight"] = torch.zeros_like(weights["classifier.weight"])
    return weights


def task() -> Recognition:
    built: Any = build_task(CONFIG)
    return built


def run_in(folder: Path) -> Any:
    """Its networks are asked without clips: their biases alone answer. `asked` keeps what they were asked."""
    asked: list[tuple[list[int], int, int]] = []

    def score(
        video_indices: np.ndarray,
        networks: Mapping[str, Recognition],
        *,
        num_clips_per_crop: int,
        num_crops: int,
        use_gpu: bool,  # noqa: ARG001
    ) -> VideoProbabilities:
        asked.append((video_indices.tolist(), num_clips_per_crop, num_crops))
        answers = {name: network.classifier.bias.softmax(0).detach().numpy() for name, network in networks.items()}
        found = {name: np.tile(answer, (len(video_indices), 1)) for name, answer in answers.items()}
        return VideoProbabilities(video_indices=video_indices, probabilities=found)

    return SimpleNamespace(
        run=SimpleNamespace(uri=str(folder), config=CONFIG),
        videos=VIDEOS,
        epochs_uri=str(folder / "epochs"),
        classifier_uri=str(folder / "classifier.safetensors"),
        score=score,
        asked=asked,
    )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two epochs of three videos are kept; the last step, the eighth video's, completes none."""
    for name, class_number in ANSWERS.items():
        if name != LAST:
            write_weights(epoch_uri(str(tmp_path / "epochs"), int(name)), weights_that_answer(class_number))
    monkeypatch.setattr(selection, "final_checkpoint", lambda _: "checkpoint")
    monkeypatch.setattr(selection, "load_data_state", lambda _: SimpleNamespace(step=8))
    monkeypatch.setattr(selection, "load_tensors", lambda _: {"task": weights_that_answer(ANSWERS[LAST])})
    return run_in(tmp_path)


def test_validation_videos_choose_and_test_videos_do_not(run):
    """Every epoch and the last step are asked for the validation videos alone. The best is chosen, though it is wrong
    for each test video, and its weights are the ones that are tested."""
    choice = choose(run, use_gpu=False)
    assert run.asked == [([3, 4], CONFIG.validation.num_clips_per_crop, 1)]
    assert (choice.epoch, choice.validation_top1) == (2, 1.0)
    assert choice.validation_top1_by_epoch == {"1": 0.0, "2": 1.0, LAST: 0.0}
    assert not Path(run.epochs_uri).exists()
    tested = scores_of_test(run, use_gpu=False)
    assert run.asked[1:] == [([2, 5], 10, 1)]
    assert (tested.top1, tested.confusion[:, 1].tolist()) == (0.0, [1, 0, 1])


def test_a_choice_that_was_made_is_kept(run):
    """Also where what it was made from is gone."""
    first = choose(run, use_gpu=False)
    assert choose(run, use_gpu=False) == first
    assert len(run.asked) == 1


def test_more_networks_than_fit_are_asked_in_turn(run, monkeypatch):
    """With the same choice."""
    whole = best_of(run, candidate_names(run), use_gpu=False)
    monkeypatch.setattr(selection, "MAX_BYTES_AT_ONCE", 1)
    assert best_of(run, candidate_names(run), use_gpu=False) == whole
    assert len(run.asked) == 1 + 3


def test_without_validation_the_last_step_is_tested(run):
    """No video is asked for it."""
    run.videos = replace(VIDEOS, validation=np.array([], dtype=np.int64))
    choice = choose(run, use_gpu=False)
    assert (choice.epoch, choice.validation_top1, run.asked) == (None, None, [])
    assert scores_of_test(run, use_gpu=False).confusion[:, ANSWERS[LAST]].tolist() == [1, 0, 1]
