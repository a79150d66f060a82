"""`jobs/evaluate.py` as its user runs it, and what it refuses before any video is read."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rspnet_platform.inference import frozen_evaluation
from rspnet_platform.inference.encoder_files import build_seeded, save_encoder
from rspnet_platform.inference.frozen_evaluation import track
from rspnet_platform.inference.frozen_evaluation_config import ClipChanges, EvaluationData, FrozenEvaluationConfig
from rspnet_platform.inference.frozen_evaluation_question import encoders_of, settle
from rspnet_platform.inference.model_reference import load_model
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.tracking_config import TrackingConfig

from jobs.evaluate import parse
from tests.labelled_dataset import make_labelled_dataset
from tests.small_encoder import CARD
from tests.waiting import history

ROOT = Path(__file__).resolve().parents[2]
PROTOCOLS = ["retrieval", "vcop", "coclr", "knn", "linear_probe", "few_labels"]


@pytest.fixture(scope="module")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    """32 training and 8 test videos of two colours."""
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled")).uri


def config(data: str, tmp_path: Path, **changes: Any) -> FrozenEvaluationConfig:
    tracking = TrackingConfig(uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    values = {"model": "random:tiny", "data": EvaluationData(shards=data), "tracking": tracking} | changes
    return FrozenEvaluationConfig(**values)


@pytest.mark.slow
def test_the_job_prints_tracks_and_stamps_every_number(labelled_dataset, tmp_path, empty_database):
    """Colours are found by a random encoder; each number stands beside that of other random ones, in the JSON and in
    MLflow, under the protocol that made it."""
    database = shutil.copy(empty_database, tmp_path / "mlflow.db")
    flags = {
        "model": "random:tiny",
        "data.shards": labelled_dataset,
        "clips.num-frames-per-clip": 4,
        "clips.crop-size": 32,
        "num-random-encoders": 1,
        "tracking.uri": f"sqlite:///{database}",
    }
    command = [sys.executable, str(ROOT / "jobs" / "evaluate.py"), "--protocol", *PROTOCOLS]
    command += [text for key, value in flags.items() for text in (f"--{key}", str(value))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result["protocols"]) == PROTOCOLS
    assert result["random_encoders"] == ["random_1"]
    assert (result["setting"], result["num_classes"]) == ("gallery train, queries test", 2)
    assert result["protocols"]["linear_probe"]["metrics"]["top1"] == 1.0
    assert result["protocols"]["knn"]["skipped_k"] == [200]
    assert "clips of 4 frames at stride 1, centre square at 32 pixels" in result["protocols"]["coclr"]["protocol"]
    assert "retrieval" in done.stderr
    run = tracking_client(f"sqlite:///{database}").get_run(result["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == pytest.approx(result["metrics"])
    assert run.data.metrics["evaluation/retrieval_top1"] == result["protocols"]["retrieval"]["metrics"]["top1"]
    assert "evaluation/random/retrieval_top1" in run.data.metrics
    assert "evaluation/random/retrieval_top1_std" not in run.data.metrics, "one random encoder has no spread"
    assert run.data.tags["protocol.coclr"] == result["protocols"]["coclr"]["protocol"]
    assert run.data.tags["dataset_sha256"] == result["dataset_sha256"]
    assert run.data.tags["model"] == run.data.params["model"] == "random:tiny"


@pytest.mark.parametrize("undone", ["log_metrics_once", "log_json", "end_run"])
def test_an_interrupted_evaluation_leaves_one_run(labelled_dataset, tmp_path, empty_database, monkeypatch, undone):
    """Whichever step was not done: the same again finishes the run that is there. Asked for once more it is another
    run, and so is another evaluation."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    asked = config(labelled_dataset, tmp_path)
    tracking_uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def attempt(asked: FrozenEvaluationConfig) -> str:
        question = settle(asked)
        result = {"dataset_sha256": question.dataset.description.manifest_sha256, "protocols": {}}
        return track(question, result, {"evaluation/retrieval_top1": 0.5})["run_id"]

    with monkeypatch.context() as patched:
        patched.setattr(frozen_evaluation.runs, undone, interrupted)
        with pytest.raises(KeyboardInterrupt):
            attempt(asked)
    other = attempt(replace(asked, seed=1))
    finished = attempt(asked)
    client = tracking_client(tracking_uri)
    found = client.search_runs([client.get_run(finished).info.experiment_id])
    assert {run.info.run_id for run in found} == {other, finished}
    assert {run.info.status for run in found} == {"FINISHED"}
    assert history(tracking_uri, finished, "evaluation/retrieval_top1") == [(0, 0.5)]
    assert attempt(asked) not in (other, finished)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_random_encoders_are_others_than_the_model(tmp_path):
    """`random:tiny` is seed 0's: it does not stand beside itself."""
    model = load_model("random:tiny", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(encoders_of(model, 2)) == ["trained", "random_1", "random_2"]


def test_another_short_side_than_the_encoders_is_refused(labelled_dataset, tmp_path):
    """With both, and how to make a data set that fits."""
    card = replace(CARD, method="rspnet", input=replace(CARD.input, short_side=128))
    weights, _ = save_encoder(tmp_path / "model", build_seeded(card.encoder, 3), card)
    with pytest.raises(ValueError, match=r"short side is \d+, .* of 128; accepted is .*--short-side 128"):
        settle(config(labelled_dataset, tmp_path, model=str(weights)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "random:huge"}, "'huge'; accepted are"),
        ({"model": "nowhere"}, "no such folder"),
        ({"clips": ClipChanges(crop_size=33)}, "crop_size is 33; accepted are even numbers"),
        ({"clips": ClipChanges(num_frames_per_clip=0)}, "num_frames_per_clip is 0"),
        ({"model": "random:c3d", "clips": ClipChanges(num_frames_per_clip=1)}, "accepted are at least"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(labelled_dataset, tmp_path, changes, message):
    """Before Ray is started: the value, and what would do."""
    with pytest.raises(ValueError, match=message):
        settle(config(labelled_dataset, tmp_path, **changes))


def test_flags_are_the_ones_that_the_design_names():
    """Several protocols at once; tracking is on unless it is turned off."""
    arguments = ["--model", "random:tiny", "--data.shards", "DATA", "--protocol", "retrieval", "knn"]
    parsed = parse(arguments)
    assert (parsed.model, parsed.data.shards, parsed.protocol) == ("random:tiny", "DATA", ("retrieval", "knn"))
    assert parsed.is_tracked
    assert not parse([*arguments, "--no-tracking"]).is_tracked
