"""The task that validates a checkpoint, in a process of its own beside the training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ray.train import Checkpoint

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.config import PretrainConfig
from rspnet_platform.cpu_threads import SharedCores
from rspnet_platform.inference.embedding_actor import FrozenEncoders, max_videos_at_once, placed
from rspnet_platform.inference.embedding_clips import embedding_recipe
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.encoder_files import build_seeded
from rspnet_platform.shards.description import DatasetDescription
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.clip_decoding import decode_sample
from rspnet_platform.stream.loaded_row_groups import LoadedRowGroups
from rspnet_platform.train.checkpoints import load_data_state
from rspnet_platform.train.training_state import encoder_in
from rspnet_platform.validation.collapse import collapse_seen
from rspnet_platform.validation.validation_ledger import Validation, ValidationLedger
from rspnet_platform.validation.validation_listener import ValidationListener
from rspnet_platform.validation.validation_scores import NUM_NEIGHBOURS, spread_metrics, top1
from rspnet_platform.validation.validation_tracking import ValidationTracking
from rspnet_platform.validation.validation_videos import ValidationVideo, is_labelled

MAX_STARTS = 2
"""Of one validation: a process that dies with it may do so each time."""

MAX_VIDEOS_IN_MEMORY = 8
"""Decoded, before the encoders take them."""

TRAINED, RANDOM = "trained", "random"


@dataclass(frozen=True, kw_only=True)
class CheckpointValidator:
    """Ray Train's validation function. Travels to its task; what it raises leaves run and checkpoint as they are.
    `num_cores` it takes; None for as many as it reserves."""

    config: PretrainConfig
    dataset_uri: str
    description: DatasetDescription
    videos: tuple[ValidationVideo, ...]
    encoder_input: EncoderInput
    ledger: ValidationLedger
    tracking: ValidationTracking
    listeners: tuple[ValidationListener, ...] = ()
    num_cores: int | None = None

    def __call__(self, checkpoint: Checkpoint, **_: Any) -> dict[str, float]:
        """The checkpoint's metrics, in MLflow and in the run's folder too. Raises what went wrong."""
        progress = load_data_state(checkpoint)
        step, num_samples = progress.step, progress.consumed.num_samples
        started = Validation(step=step, state="waiting", num_starts=1, num_samples=num_samples)
        if (before := self.ledger.at(step)) is not None and before.state == "waiting":
            started = replace(started, num_starts=before.num_starts + 1)
        try:
            if started.num_starts > MAX_STARTS:
                raise RuntimeError(f"its process died {MAX_STARTS} times")
            self.ledger.enter(started)
            metrics, damaged = self.measure(encoder_in(self.config, checkpoint))
            self.tracking.log(step, metrics)
            if warning := collapse_seen(metrics):
                self.tracking.warn(step, warning)
            for listener in self.listeners:
                listener.on_validation(step, num_samples, metrics)
        except Exception as error:
            self.ledger.enter(replace(started, state="failed", error=f"{type(error).__name__}: {error}"))
            say(f"the validation of step {step} failed, and training goes on: {error}")
            raise
        self.ledger.enter(replace(started, state="validated", metrics=metrics, damaged_videos=damaged))
        return metrics

    def measure(self, encoder: VideoEncoder) -> tuple[dict[str, float], list[str]]:
        """The metrics by their names in MLflow, and the ids of the videos that are damaged."""
        random = self.stored_random_metrics()
        encoders = {TRAINED: encoder}
        if random is None:
            encoders[RANDOM] = build_seeded(self.config.task.encoder, seed=0)
        features, found = self.features(encoders)
        if random is None:
            random = self.scores(features[RANDOM], found)
            storage.write_json(self.random_uri, {"stamp": self.stamp, "metrics": random})
        damaged = sorted({video.video_id for video in self.videos} - {video.video_id for video in found})
        metrics = {f"validation/{name}": value for name, value in self.scores(features[TRAINED], found).items()}
        metrics |= {f"validation/random_{name}": value for name, value in random.items()}
        return metrics | {"validation/num_damaged": float(len(damaged))}, damaged

    def features(
        self, encoders: Mapping[str, VideoEncoder]
    ) -> tuple[dict[str, torch.Tensor], tuple[ValidationVideo, ...]]:
        """Of each encoder float32 [videos, feature], and the videos that could be decoded, in that order."""
        options = self.config.validation
        device = torch.device("cuda" if options.num_gpus else "cpu")
        frozen = FrozenEncoders(
            encoders=placed(encoders, device),
            pooling=self.encoder_input.pooling,
            normalisation=self.encoder_input.normalisation,
            device=device,
        )
        recipe = embedding_recipe(self.encoder_input, self.description, decoder=self.config.data.decoder)
        cores = SharedCores(
            device=device,
            num_cores=self.num_cores or max(1, int(options.num_cpus)),
            max_at_once=max_videos_at_once(recipe.sampler.num_clips),
        )
        groups = LoadedRowGroups(self.dataset_uri, [video.location for video in self.videos])
        rows, found = [], []
        for first in range(0, len(self.videos), MAX_VIDEOS_IN_MEMORY):
            samples = []
            for video in self.videos[first : first + MAX_VIDEOS_IN_MEMORY]:
                try:
                    samples.append(decode_sample(groups.take(video.location, video.video_index), 0, recipe))
                except DamagedVideoError:  # listed with the metrics
                    continue
                found.append(video)
            rows += cores.map(
                lambda sample: frozen.embed(torch.from_numpy(sample.planes), torch.from_numpy(sample.view_numbers)),
                samples,
            )
        if len(found) < 2:
            raise ValueError(f"{len(found)} of {len(self.videos)} videos can be decoded; accepted are 2 or more")
        return {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in encoders}, tuple(found)

    def scores(self, features: torch.Tensor, videos: tuple[ValidationVideo, ...]) -> dict[str, float]:
        scores = spread_metrics(features)
        if is_labelled(videos):
            protocol = self.config.validation.protocol
            num_neighbours = NUM_NEIGHBOURS if protocol == "knn" else 1
            scores[f"train_{protocol}_top1"] = top1(features, videos, num_neighbours=num_neighbours)
        return scores

    @property
    def random_uri(self) -> str:
        return storage.join(self.ledger.uri, "random.json")

    @property
    def stamp(self) -> str:
        """All that decides the random encoder's metrics, which are computed once a run."""
        of = f"{self.config.validation.protocol}, {self.config.task.encoder} of seed 0, {self.encoder_input}"
        return f"{of}, videos {[video.video_index for video in self.videos]}"

    def stored_random_metrics(self) -> dict[str, float] | None:
        try:
            stored = storage.read_json(self.random_uri)
        except FileNotFoundError:
            return None
        return stored["metrics"] if stored["stamp"] == self.stamp else None
