"""Which videos a fine-tuning run trains on, chooses on and is tested on; and what it refuses before it asks for Ray."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jaxtyping
import numpy as np
import pytest
from rspnet_platform.command_line import USER_ERRORS, parse_recipe
from rspnet_platform.finetune.finetune_config import FinetuneConfig, HeldOutTestConfig, ValidationConfig
from rspnet_platform.finetune.recognition_videos import NO_CLASS, recognition_videos
from rspnet_platform.finetune.several_runs import finetune, in_a_line, mean_and_deviation
from rspnet_platform.shards.dataset import ShardedDataset

from jobs.recipe_files.finetune import DEFAULT_FINETUNE_RECIPE, FINETUNE_RECIPES
from rspnet_core.recognition.clip_samplers import TrainingClipSampler
from rspnet_core.recognition.recognition_config import RecognitionConfig
from rspnet_core.recognition.square_crops import SquareCrop, square_crops
from tests.labelled_dataset import NUM_TEST, NUM_TRAIN, make_labelled_dataset

SMALL = "--task.clips.num-frames-per-clip 4 --task.view.crop-size 32 --training.global-batch-size 8"
SPLITS: dict[str, Any] = {"train_split": "train", "test_split": "test", "validation_fraction": 0.25, "seed": 0}


@pytest.fixture(scope="session")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled"))


class StoppedError(Exception):
    """All checks were passed."""


def stop_here(*_: object, **__: object) -> None:
    raise StoppedError


def configured(dataset: str, folder: Path, arguments: str) -> FinetuneConfig:
    own = f"--data.shards {dataset} --run.name run --run.storage {folder}/runs --tracking.uri {folder}/mlflow.db"
    whole = f"{own} --model random:tiny {SMALL} {arguments}".split()
    return parse_recipe(FINETUNE_RECIPES, DEFAULT_FINETUNE_RECIPE, whole, program="finetune.py")


def test_each_part_holds_its_own_videos_and_classes(labelled_dataset):
    """Training and validation share the training split, by source; the test split is whole; classes are in the order of
    their names."""
    found = recognition_videos(labelled_dataset, **SPLITS)
    videos = labelled_dataset.videos.sort_by("video_index").to_pylist()
    splits = {name: getattr(found, name).tolist() for name in ("train", "validation", "test")}
    assert sorted(splits["train"] + splits["validation"]) == [v["video_index"] for v in videos if v["split"] == "train"]
    assert splits["test"] == [v["video_index"] for v in videos if v["split"] == "test"]
    assert (len(splits["train"]), len(splits["validation"]), len(splits["test"])) == (24, 8, NUM_TEST)
    sources = [{videos[index]["source"] for index in splits[name]} for name in ("train", "validation")]
    assert not sources[0] & sources[1]
    assert found.class_names == ("blue", "red")
    assert [found.class_names[number] for number in found.class_of_video] == [video["label"] for video in videos]


def test_no_fraction_trains_on_every_training_video(labelled_dataset):
    """And puts none aside."""
    everything: dict[str, Any] = SPLITS | {"validation_fraction": 0.0}
    found = recognition_videos(labelled_dataset, **everything)
    assert (len(found.train), len(found.validation)) == (NUM_TRAIN, 0)


def test_videos_of_other_splits_have_no_class(tmp_path):
    """They may be unlabelled, as the test videos of some data sets are."""
    dataset = make_labelled_dataset(tmp_path, {4: {"split": "other", "label": ""}})
    found = recognition_videos(dataset, **SPLITS)
    other = [v["video_index"] for v in dataset.videos.to_pylist() if v["split"] == "other"]
    assert found.class_of_video[other] == [NO_CLASS]
    assert not np.isin(other, np.concatenate([found.train, found.validation, found.test])).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({3: {"label": ""}, 5: {"label": ""}}, r"2 of the 32 videos in the split 'train' of .* no label, such as '03"),
        ({34: {"label": ""}}, r"1 of the 8 videos in the split 'test' of .* no label, such as '34"),
        ({34: {"label": "green"}}, "the split 'test' of .* has the class 'green', which 'train' has not"),
        ({i: {"label": "red"} for i in range(40)}, "has one class, 'red'; accepted are two or more"),
        ({i: {"split": ""} for i in range(40)}, "has no splits; accepted is one ingested with training and test"),
    ],
)
def test_a_data_set_that_cannot_be_tested_on_is_refused(tmp_path: Path, changes: Mapping, message: str):
    """Unlabelled videos, unknown classes, one class, no splits: each is named."""
    dataset = make_labelled_dataset(tmp_path, changes)
    with pytest.raises(ValueError, match=message):
        recognition_videos(dataset, **SPLITS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", None),
        ("--test.split nowhere", "has no split 'nowhere'; accepted are test, train and 'all'"),
        ("--data.split all", "data.split is 'all' and test.split is 'test'; accepted are two different splits"),
        ("--data.split test", "data.split is 'test' and test.split is 'test'; accepted are two different splits"),
        ("--task.num-classes 3", "task.num_classes is 3, and train of .* has 2 classes; accepted are 2, and none"),
        ("--model random:c3d", "the model random:c3d is a c3d, and the recipe tiny is for tiny; accepted is a recipe"),
        ("--model random:c3d --task.encoder c3d", "C3D is given clips of 4 frames, 32 x 32 pixels; accepted are at"),
        ("--model random:nothing", "encoder is 'nothing'; accepted are "),
        ("--model models", "model is 'models', and no such folder is there"),
        ("--model=", "--model is missing; accepted are models:/NAME@ALIAS"),
        ("--model random:tiny:3 --task.normalisation zero_to_one", "accepted is --task.normalisation imagenet"),
        ("--training.global-batch-size 33", "a global batch of 33 exceeds the .* videos to train on"),
        ("--more-splits /nowhere", "/nowhere is not a data set"),
        ("--task.clips.past-the-end reject --task.clips.num-frames-per-clip 16", "12 frames; 16 or more are needed"),
        ("--tracking.uri http://127.0.0.1:9", "no answer from the tracking store http://127.0.0.1:9"),
    ],
)
def test_a_run_that_cannot_be_is_refused(labelled_dataset, tmp_path: Path, monkeypatch, arguments, message):
    """With one message, before it asks for Ray and anything is written; what can be gets that far."""
    monkeypatch.setattr("rspnet_platform.runtime.connect", stop_here)
    config = configured(labelled_dataset.uri, tmp_path, arguments)
    if message is None:
        with pytest.raises(StoppedError):
            finetune(config)
        return
    with pytest.raises(USER_ERRORS, match=message):
        finetune(config)
    assert not (tmp_path / "runs").exists()


def test_a_name_stays_with_its_model_and_kind(labelled_dataset, tmp_path: Path, monkeypatch):
    """Another model does not go on with it, nor does a pretraining run's name become a fine-tuning's."""
    monkeypatch.setattr("rspnet_platform.runtime.connect", stop_here)
    with pytest.raises(StoppedError):
        finetune(configured(labelled_dataset.uri, tmp_path, ""))
    with pytest.raises(ValueError, match=r"--model is 'random:tiny:1', and the runs in .* began from 'random:tiny'"):
        finetune(configured(labelled_dataset.uri, tmp_path, "--model random:tiny:1"))
    (tmp_path / "runs" / "run" / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="is a pretraining run; accepted is another"):
        finetune(configured(labelled_dataset.uri, tmp_path, ""))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ValidationConfig(fraction=0.6), "validation.fraction is 0.6; accepted are 0 to 0.5"),
        (lambda: HeldOutTestConfig(num_crops=2), "test.num_crops is 2; accepted are 1 and 3"),  # pyright: ignore[reportArgumentType]
        (lambda: square_crops(2, 32), "num_crops is 2; accepted are 1 and 3"),  # pyright: ignore[reportArgumentType]
        (lambda: HeldOutTestConfig(num_clips_per_crop=0), "test.num_clips_per_crop is 0"),
        (lambda: FinetuneConfig(seeds=(1, 1)), r"seeds are \(1, 1\); accepted are different ones"),
        (lambda: FinetuneConfig(seeds=(-1,)), r"seeds are \(-1,\); accepted are whole numbers from 0 on"),
        (lambda: TrainingClipSampler(placement="middle"), "placement is 'middle'; accepted are window, cover"),  # pyright: ignore[reportArgumentType]
        (lambda: SquareCrop(place="top"), "place is 'top'; accepted are first, centre, last"),  # pyright: ignore[reportArgumentType]
        (lambda: RecognitionConfig(trainable="head"), "trainable is 'head'; accepted are everything, classifier"),  # pyright: ignore[reportArgumentType]
        (lambda: RecognitionConfig(batch_norm="no"), "batch_norm is 'no'; accepted are running, frozen"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_refused_choices_name_the_accepted_ones(build: Any, message: str, monkeypatch: pytest.MonkeyPatch):
    """When the config is built, as its user builds it: with no type checker before it."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        build()


def test_recipes_carry_their_own_names_and_the_published_protocols():
    """Something-Something V2 covers the video, is not flipped and is tested on what is labelled; no rate grows with the
    batch."""
    for name, recipe in FINETUNE_RECIPES.items():
        config = recipe()
        assert config.recipe == name
        if name.startswith("something"):
            assert (config.task.clips.placement, config.task.view.flip_probability) == ("cover", 0)
            assert (config.test.split, config.test.num_clips_per_crop) == ("val", 2)
        if not name.startswith("tiny"):
            assert config.optimizer.peak_learning_rate(config.training.global_batch_size) <= 0.1
            assert config.task.encoder in name or config.task.encoder.replace("_", "") in name or "r2plus1d" in name


def test_mean_and_deviation_by_hand():
    """Of 0.2 and 0.4: 0.3, and the sample's deviation 0.2 / sqrt 2; of one run no deviation."""
    key = "finetune/test_top1"
    results = [{"metrics": {key: value}} for value in (0.2, 0.4)]
    assert mean_and_deviation(results) == pytest.approx({f"{key}_mean": 0.3, f"{key}_std": 0.2 / 2**0.5})
    assert mean_and_deviation(results[:1]) == {f"{key}_mean": 0.2}


def test_an_accuracy_stands_beside_a_constant_answer():
    """Which a person would otherwise have to count."""
    accuracies, constants = (0.2, 0.4), (0.25, 0.25)
    results = [
        {"metrics": {"finetune/test_top1": top1, "finetune/test_top1_of_most_frequent_class": constant}}
        for top1, constant in zip(accuracies, constants, strict=True)
    ]
    line = in_a_line(mean_and_deviation(results), num_runs=2)
    assert line.startswith("finetune/test_top1 30.0% +- 14.1% over 2 runs; always the most frequent class 25.0%")
    assert " +- " not in in_a_line(mean_and_deviation(results[:1]), num_runs=1)
