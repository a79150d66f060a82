"""The task that validates a checkpoint: its numbers, what it leaves in the run's folder, and how it fails."""

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray.train import Checkpoint
from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.inference.encoder_input_of_run import encoder_input_of_run
from rspnet_platform.inference.video_embedder import EncoderCard, VideoEmbedder
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.row_groups import read_row_group
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.splits import select_videos
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.metric_outbox import MetricOutbox
from rspnet_platform.train.checkpoints import DATA_STATE, DataState, checkpoint_config
from rspnet_platform.validation.checkpoint_validator import MAX_STARTS, CheckpointValidator
from rspnet_platform.validation.validation_ledger import Validation, ValidationLedger, counts
from rspnet_platform.validation.validation_options import ValidationOptions
from rspnet_platform.validation.validation_tracking import ValidationTracking
from rspnet_platform.validation.validation_videos import choose_validation_videos

from jobs.recipes import tiny_cpu
from rspnet_core.encoders.video_encoder import VideoEncoder
from tests.damaged_dataset import damage_videos
from tests.labelled_dataset import NUM_TRAIN, make_labelled_dataset
from tests.task_checkpoint import smaller, write_checkpoint
from tests.waiting import history

NOBODY = "http://127.0.0.1:9"
"""A tracking server that is away."""

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled"))


def small_config(**options: object) -> PretrainConfig:
    config = tiny_cpu()
    task = replace(config.task, clips=replace(config.task.clips, num_frames_per_clip=4))  # pyright: ignore
    return replace(config, task=smaller(task), validation=ValidationOptions(**options))  # pyright: ignore


@dataclass
class Remembering:
    """Keeps what it is told."""

    told: list = field(default_factory=list)

    def on_validation(self, step, num_samples, metrics) -> None:
        self.told.append((step, num_samples, dict(metrics)))


class Failing:
    def on_validation(self, step, num_samples, metrics) -> None:  # noqa: ARG002
        raise OSError("the sweep's own disk is full")


def validator(dataset: ShardedDataset, folder: Path, config: PretrainConfig, *listeners: Any) -> CheckpointValidator:
    videos = select_videos(dataset, "train")
    return CheckpointValidator(
        config=config,
        dataset_uri=dataset.uri,
        description=dataset.description,
        videos=choose_validation_videos(dataset, videos, config.validation.max_num_videos),
        encoder_input=replace(
            encoder_input_of_run(checkpoint_config(config), dataset.description.short_side), num_clips=2
        ),
        ledger=ValidationLedger.of_run(str(folder)),
        tracking=ValidationTracking(tracking_uri=NOBODY, run_id="run", outbox=str(folder / "outbox")),
        listeners=listeners,
    )


def checkpoint_of(config: PretrainConfig, folder: Path, step: int = 20) -> tuple[Checkpoint, VideoEncoder]:
    task = write_checkpoint(folder, config.task)
    consumed = ConsumedVideos(num_videos=NUM_TRAIN + 8, num_videos_per_epoch=NUM_TRAIN)
    consumed.mark(np.zeros(12, np.int64), np.arange(12))
    state = DataState(step=step, dataset_sha256="0", consumed=consumed)
    (folder / DATA_STATE).write_text(json.dumps(state.to_json()))
    return Checkpoint.from_directory(folder), task.encoder


def slow_scores(encoder: VideoEncoder, it: CheckpointValidator, dataset: ShardedDataset) -> dict[str, float]:
    """Videos as files, one after the other; retrieval in plain loops."""
    card = EncoderCard(
        encoder="tiny", feature_dim=encoder.feature_dim, input=it.encoder_input, method="m", protocol="p"
    )
    data = [bytes(read_row_group(dataset.uri, *v.location[:2]).video(v.location[2]).data) for v in it.videos]
    unit = [vector / np.linalg.norm(vector) for vector in VideoEmbedder(encoder, card).embed(data).astype(np.float64)]
    hits = []
    for query, vector in zip(it.videos, unit, strict=True):
        others = [(float(vector @ unit[i]), v) for i, v in enumerate(it.videos) if v.source != query.source]
        hits.append(max(others, key=lambda pair: pair[0])[1].label == query.label)
    singular = np.linalg.svd(VideoEmbedder(encoder, card).embed(data).astype(np.float64), compute_uv=False)
    shares = singular / singular.sum()
    spread = np.stack(unit).std(axis=0).mean() * encoder.feature_dim**0.5
    return {
        "train_retrieval_top1": float(np.mean(hits)),
        "effective_rank": float(np.exp(-(shares * np.log(shares)).sum())),
        "feature_std": float(spread),
    }


def test_its_numbers_are_those_of_the_slow_obvious_way(dataset, tmp_path):
    """Of the checkpoint's encoder and of a random one; test videos are in neither; told, tracked and kept alike."""
    config, listener = small_config(protocol="retrieval"), Remembering()
    it = validator(dataset, tmp_path, config, listener)
    checkpoint, encoder = checkpoint_of(config, tmp_path / "checkpoint")
    assert {video.video_index for video in it.videos} == set(select_videos(dataset, "train"))
    metrics = it(checkpoint)
    random = build_seeded("tiny", seed=0).eval()
    expected = {f"validation/{name}": value for name, value in slow_scores(encoder, it, dataset).items()}
    expected |= {f"validation/random_{name}": value for name, value in slow_scores(random, it, dataset).items()}
    assert metrics == pytest.approx(expected | {"validation/num_damaged": 0.0}, rel=1e-4)
    assert listener.told == [(20, 12, metrics)]
    [entry] = it.ledger.entries()
    assert (entry.state, entry.num_samples, entry.metrics) == ("validated", 12, metrics)
    outbox = MetricOutbox(str(tmp_path / "outbox"))
    waiting = {point.key: (point.step, point.value) for name in outbox.names() for point in outbox.read(name)}
    assert waiting == {name: (20, value) for name, value in metrics.items()}


def test_the_random_encoder_is_asked_once_a_run(dataset, tmp_path):
    """And again where the question is another one."""
    config = small_config()
    it = validator(dataset, tmp_path, config)
    checkpoint, _ = checkpoint_of(config, tmp_path / "checkpoint")
    metrics = it(checkpoint)
    stored = json.loads((tmp_path / "validation" / "random.json").read_text())
    stored["metrics"]["train_knn_top1"] = 0.123
    (tmp_path / "validation" / "random.json").write_text(json.dumps(stored))
    assert it(checkpoint)["validation/random_train_knn_top1"] == 0.123
    other = replace(it, videos=it.videos[:-1])(checkpoint)
    assert other["validation/random_train_knn_top1"] != 0.123
    assert "validation/train_knn_top1" in metrics


def test_metrics_are_in_the_runs_record(dataset, tmp_path, empty_database):
    """At the checkpoint's step, with nothing left over."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri, outbox = f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "outbox")
    run_id = runs.start_run(uri, "pretraining", "run", {}, {})
    config = small_config()
    tracking = ValidationTracking(tracking_uri=uri, run_id=run_id, outbox=outbox)
    it = replace(validator(dataset, tmp_path, config), tracking=tracking)
    metrics = it(checkpoint_of(config, tmp_path / "checkpoint", step=40)[0])
    for name, value in metrics.items():
        assert history(uri, run_id, name) == [(40, pytest.approx(value))], name
    assert len(MetricOutbox(outbox)) == 0


def test_a_damaged_video_is_counted_and_named(dataset, tmp_path):
    """And missed in the numbers, which are those of the others."""
    broken = int(select_videos(dataset, "train")[0])
    damaged = damage_videos(dataset, tmp_path / "damaged", {broken})
    config = small_config()
    checkpoint, _ = checkpoint_of(config, tmp_path / "checkpoint")
    it = validator(dataset, tmp_path / "whole", config)
    without = replace(it, videos=tuple(video for video in it.videos if video.video_index != broken))
    metrics = replace(it, dataset_uri=damaged, ledger=ValidationLedger.of_run(str(tmp_path / "run")))(checkpoint)
    assert metrics == without(checkpoint) | {"validation/num_damaged": 1.0}
    [entry] = ValidationLedger.of_run(str(tmp_path / "run")).entries()
    [name] = [video.video_id for video in it.videos if video.video_index == broken]
    assert entry.damaged_videos == [name]


def test_a_failure_is_kept_and_said(dataset, tmp_path, capsys):
    """With its reason, and counted; Ray is told by the exception."""
    config = small_config()
    it = validator(dataset, tmp_path, config, Failing())
    with pytest.raises(OSError, match="disk is full"):
        it(checkpoint_of(config, tmp_path / "checkpoint")[0])
    [entry] = it.ledger.entries()
    assert (entry.state, entry.error) == ("failed", "OSError: the sweep's own disk is full")
    assert counts([entry]) == {"num_validated": 0, "num_failed": 1, "num_left_out": 0}
    assert "the validation of step 20 failed, and training goes on: the sweep's own disk" in capsys.readouterr().err


def test_a_task_whose_process_dies_each_time_is_given_up(dataset, tmp_path):
    """A death leaves the entry waiting: after some of them it is an error like any other, which ends no run."""
    config = small_config()
    it = validator(dataset, tmp_path, config)
    checkpoint, _ = checkpoint_of(config, tmp_path / "checkpoint")
    it.ledger.enter(Validation(step=20, state="waiting", num_starts=MAX_STARTS - 1))
    assert it(checkpoint)["validation/num_damaged"] == 0.0
    it.ledger.enter(Validation(step=20, state="waiting", num_starts=MAX_STARTS))
    with pytest.raises(RuntimeError, match="its process died 2 times"):
        it(checkpoint)


def test_torchs_generator_is_left_as_it_was(dataset, tmp_path):
    """A reused process of Ray's draws what it would have drawn."""
    config = small_config()
    it = validator(dataset, tmp_path, config)
    checkpoint, _ = checkpoint_of(config, tmp_path / "checkpoint")
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    it(checkpoint)
    assert torch.equal(torch.rand(4), expected)
