"""A fine-tuned classifier for others: which one is registered, and what it says of a video file."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rspnet_platform.command_line import parse_recipe
from rspnet_platform.finetune.classifier_card import ClassifierCard
from rspnet_platform.finetune.classifier_publishing import best_validated, register_classifier, save_classifier
from rspnet_platform.finetune.clip_scores import score_clips
from rspnet_platform.finetune.initial_encoder import InitialEncoder
from rspnet_platform.finetune.recognition_loop_task import write_weights
from rspnet_platform.finetune.recognition_run import RecognitionRun
from rspnet_platform.finetune.several_runs import Campaign, name_campaign, parts, plan_part
from rspnet_platform.finetune.video_classifier import VideoClassifier
from rspnet_platform.inference.model_reference import load_model
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.row_groups import EncodedVideo, read_videos
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample
from rspnet_platform.stream.frame_readers import IndexedReader
from rspnet_platform.stream.stream_plan import VideoLocations
from rspnet_platform.tracking import pyfunc_package, runs
from rspnet_platform.tracking.client import tracking_client
from safetensors.torch import save_file

from jobs.recipe_files.finetune import DEFAULT_FINETUNE_RECIPE, FINETUNE_RECIPES
from rspnet_core.recognition.clip_samplers import TrainingClipSampler
from rspnet_core.recognition.recognition import Recognition
from tests.labelled_dataset import make_labelled_dataset
from tests.third_party_imports import third_party_imports

CARD = ClassifierCard(
    encoder="tiny",
    class_names=("blue", "red"),
    clips=TrainingClipSampler(num_frames_per_clip=4),
    num_clips_per_crop=2,
    num_crops=3,
    crop_size=32,
    short_side=48,
)
SMALL = "--task.clips.num-frames-per-clip 4 --task.view.crop-size 32 --test.num-clips-per-crop 2 --test.num-crops 3"
VALIDATED, TESTED = "finetune/validation_top1", "finetune/test_top1"


@pytest.fixture(scope="module")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled"))


def network(seed: int) -> Recognition:
    """Sure enough of itself that videos differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built = Recognition(CARD.task).eval()
        torch.nn.init.normal_(built.classifier.weight, std=3.0)
    return built


def stored_video(dataset: ShardedDataset, video_index: int) -> EncodedVideo:
    [(shard, row_group, row)] = VideoLocations.from_dataset(dataset).of(np.array([video_index]))
    [video] = read_videos(dataset.uri, shard, row_group, [row])
    return video


def test_a_file_has_the_probabilities_of_its_stored_video(labelled_dataset):
    """Of the very same pixels, over two clips in three crops, as the fine-tuning's test scores them."""
    recipe = SampleRecipe(sampler=CARD.sampler, views=CARD.squares, seed=0, reader=IndexedReader())
    videos = [stored_video(labelled_dataset, index) for index in (1, 2)]
    samples = [decode_sample(video, 0, recipe) for video in videos]
    planes, numbers = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in samples])) for name in ("planes", "view_numbers")
    )
    expected = score_clips({"": network(0)}, planes, numbers, "slowfast", torch.device("cpu"))[""].numpy()
    card = replace(CARD, normalisation="slowfast")
    found = VideoClassifier(network(0).state_dict(), card).probabilities([bytes(video.data) for video in videos])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert abs(expected[0] - expected[1]).max() > 0.01


def test_changed_weights_are_refused(tmp_path: Path):
    """Under the card that they were saved with; a card of an older version, which has no hash, is read with a
    warning."""
    weights_path, card_path = save_classifier(tmp_path, network(0).state_dict(), CARD)
    assert VideoClassifier.read(weights_path, card_path).card == CARD
    save_file(network(1).state_dict(), weights_path)
    with pytest.raises(ValueError, match=r"classifier\.safetensors have SHA-256 [0-9a-f]{64}, and [0-9a-f]{64} was"):
        VideoClassifier.read(weights_path, card_path)
    card = json.loads(card_path.read_text())
    del card["weights_sha256"]
    card_path.write_text(json.dumps(card | {"schema_version": 1}))
    with pytest.warns(UserWarning, match="has no recorded SHA-256"):
        VideoClassifier.read(weights_path, card_path)


def test_a_card_comes_back_as_it_was():
    """Through JSON; another version, a key too many and a single class are refused."""
    content = json.loads(json.dumps(CARD.to_json_dict()))
    assert ClassifierCard.from_json_dict(content) == CARD
    with pytest.raises(ValueError, match="schema_version 9; accepted are 1 and 2"):
        ClassifierCard.from_json_dict(content | {"schema_version": 9})
    with pytest.raises(ValueError, match=r"'more'.*accepted are exactly"):
        ClassifierCard.from_json_dict(content | {"more": 1})
    with pytest.raises(ValueError, match=r"class_names are \('red',\); accepted are two or more"):
        replace(CARD, class_names=("red",))
    with pytest.raises(ValueError, match="do not fit a tiny of 3 classes"):
        VideoClassifier(network(0).state_dict(), replace(CARD, class_names=("a", "b", "c")))


def planned_runs(dataset: ShardedDataset, folder: Path, seeds: str = "0 1 2") -> tuple[Campaign, list[RecognitionRun]]:
    """Whose training has, as far as their folders say, come to a classifier."""
    own = f"--data.shards {dataset.uri} --run.name tuned --run.storage {folder}/runs --tracking.uri {folder}/mlflow.db"
    arguments = f"{own} --model random:tiny {SMALL} --training.global-batch-size 8 --seeds {seeds}".split()
    config = parse_recipe(FINETUNE_RECIPES, DEFAULT_FINETUNE_RECIPE, arguments, program="finetune.py")
    campaign = name_campaign(config)
    initial = InitialEncoder.of_model(load_model("random:tiny", campaign.tracking_uri))
    return campaign, [plan_part(campaign, part, initial) for part in parts(campaign)]


def result(run: RecognitionRun, **metrics: float) -> dict[str, Any]:
    numbers = {f"finetune/{name}": value for name, value in metrics.items()}
    return {"run_id": "", "run_name": run.run.name, "metrics": numbers, "protocol": "2 clips"}


def test_the_best_validated_seed_is_taken_whatever_the_test_says(labelled_dataset, tmp_path):
    """Of equal ones the first, without validation the first; runs on other splits are not compared."""
    _, planned = planned_runs(labelled_dataset, tmp_path)
    assert [run.run.config.training.seed for run in planned] == [0, 1, 2]
    validated, tested = (0.6, 0.8, 0.8), (0.9, 0.5, 0.7)
    results = [
        result(run, validation_top1=one, test_top1=other)
        for run, one, other in zip(planned, validated, tested, strict=True)
    ]
    assert best_validated(planned, results) == (planned[1], results[1])
    without = [result(run, test_top1=other) for run, other in zip(planned, tested, strict=True)]
    assert best_validated(planned, without)[0] == planned[0]
    elsewhere = replace(labelled_dataset, description=replace(labelled_dataset.description, manifest_sha256="other"))
    others = [planned[0], *(replace(run, run=replace(run.run, dataset=elsewhere)) for run in planned[1:])]
    assert best_validated(others, results)[0] == planned[0]


PREDICT = """
import json, sys
import mlflow
predicted = mlflow.pyfunc.load_model("models:/rspnet-classifier@champion").predict(sys.argv[1:])
print(json.dumps({
    "columns": list(predicted.columns),
    "rows": predicted.to_numpy().tolist(),
    "names": predicted.idxmax(axis=1).tolist(),
    "has_ray": "ray" in sys.modules,
    "code": [str(m.__file__) for name, m in list(sys.modules.items()) if name.startswith("rspnet_")],
}))
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_registered_classifier_names_the_classes_of_files(labelled_dataset, tmp_path, empty_database):
    """In a fresh process, from the model's own code, without Ray. More seeds register again only where another one is
    better validated, and the champion stays who it was unless it is beaten there; an encoder it is not."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    campaign, planned = planned_runs(labelled_dataset, tmp_path)
    validated = (0.6, 0.5, 0.8)
    results = []
    for seed, (run, share) in enumerate(zip(planned, validated, strict=True)):
        write_weights(run.classifier_uri, network(seed).state_dict())
        run_id = runs.start_run(campaign.tracking_uri, "videos", run.run.name, {}, {})
        results.append(result(run, validation_top1=share, test_top1=0.5) | {"run_id": run_id})
    first = register_classifier(campaign.uri, planned[:2], results[:2], "random:tiny")
    assert first == register_classifier(campaign.uri, planned[:2], results[:2], "random:tiny")
    assert first["model_uri"] == "models:/rspnet-classifier/1"
    better = register_classifier(campaign.uri, planned, results, "random:tiny")
    assert better["run_name"] == planned[2].run.name
    assert better["model_alias"] == "models:/rspnet-classifier@champion"
    version = tracking_client(campaign.tracking_uri).get_model_version("rspnet-classifier", "2")
    assert version.tags[f"metric.{VALIDATED}"] == "0.8"
    assert (version.tags["protocol"], version.tags["recipe"]) == ("2 clips", "tiny")
    with pytest.raises(ValueError, match=r"is not an encoder: it has no encoder\.json"):
        load_model("models:/rspnet-classifier@champion", campaign.tracking_uri)

    videos = [str(path) for path in sorted(Path(labelled_dataset.uri).parent.glob("0[01].mp4"))]
    (tmp_path / "predict.py").write_text(PREDICT)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(tmp_path / "predict.py"), *videos],
        env=environment | {"MLFLOW_TRACKING_URI": campaign.tracking_uri},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    expected = VideoClassifier(network(2).state_dict(), CARD).probabilities(videos)
    np.testing.assert_allclose(found["rows"], expected, rtol=1e-4, atol=1e-5)
    assert found["columns"] == ["blue", "red"]
    assert found["names"] == [found["columns"][place] for place in expected.argmax(axis=1)]
    assert found["has_ray"] is False
    assert all(str(tmp_path / "mlartifacts") in path for path in found["code"])
    assert third_party_imports(found["code"]) <= set(pyfunc_package.REQUIREMENTS)
