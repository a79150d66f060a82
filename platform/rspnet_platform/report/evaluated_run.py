"""What a report shows of a run's frozen encoder: its features, and those of random ones, of the data set's videos."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rspnet_core.evaluation.retrieval import RetrievalResult
from rspnet_core.random_streams import random_stream
from rspnet_platform import storage
from rspnet_platform.inference.evaluation_config import EvaluationConfig
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos, evaluate_retrieval
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.tracking_config import TrackingConfig
from rspnet_platform.visualise.frozen_features import FrozenFeatures, frozen_features
from rspnet_platform.visualise.nearest_videos import Search
from rspnet_platform.visualise.recorded_run import RecordedRun

NO_LABELS = "the data set has no labels, or not on both sides of its split"
MAX_UNLABELLED_VIDEOS = 1000
"""That are embedded for pictures alone."""


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """Without labels `labelled` is None and `results` are empty."""

    frozen: FrozenFeatures
    labelled: LabelledVideos | None
    results: Mapping[str, RetrievalResult]

    @classmethod
    def of(cls, frozen: FrozenFeatures, labelled: LabelledVideos | None) -> "EvaluatedRun":
        results = {} if labelled is None else evaluate_retrieval(labelled, frozen.features, frozen.protocol)
        return cls(frozen=frozen, labelled=labelled, results=results)

    @property
    def protocol(self) -> str:
        setting = "each video against all others" if self.labelled is None else self.labelled.setting
        return f"{self.frozen.stamp}; {setting}"

    @property
    def search(self) -> Search:
        if self.labelled is None:
            return Search.without_labels(self.frozen.features)
        return Search.of(self.labelled, self.frozen.features)


def shown_videos(dataset: ShardedDataset, labelled: LabelledVideos | None, seed: int) -> np.ndarray:
    """The labelled ones, or without labels a draw of MAX_UNLABELLED_VIDEOS; by index."""
    if labelled is not None:
        return labelled.video_indices
    indices = np.sort(dataset.videos["video_index"].to_numpy())
    drawn = random_stream(seed, 0, 0, "report/videos").permutation(len(indices))[:MAX_UNLABELLED_VIDEOS]
    return indices[np.sort(drawn)]


def evaluate_again(
    run: RecordedRun, dataset: ShardedDataset, tracking: TrackingConfig, *, output: str, seed: int
) -> EvaluatedRun:
    """Of the checkpoint that is shown of the run. Starts Ray, and ends it. Raises ValueError for a run without one."""
    labelled = LabelledVideos.from_dataset(dataset)
    value = {**defaults_of_evaluation(), **run.config}
    frozen = frozen_features(
        dataset,
        shown_videos(dataset, labelled, seed),
        model=run.checkpoint or run.uri,
        protocol=value["evaluation.protocol"],
        tracking=tracking,
        decoder=run.config.get("data.decoder"),
        output=storage.join(output, "report"),
        num_random_encoders=value["evaluation.num_random_encoders"] if labelled else 1,
    )
    return EvaluatedRun.of(frozen, labelled)


def defaults_of_evaluation() -> dict[str, Any]:
    """For runs from before there was a choice."""
    default = EvaluationConfig()
    return {
        "evaluation.protocol": default.protocol,
        "evaluation.num_random_encoders": default.num_random_encoders,
    }
