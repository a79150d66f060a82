"""The confusion matrix of a frozen encoder: each query is given the class of its nearest video."""

from typing import Any

import numpy as np

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.inference.dataset_features import DatasetFeatures
from rspnet_platform.inference.retrieval_evaluation import TRAINED, LabelledVideos
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.visualise.confusion import ConfusionMatrix
from rspnet_platform.visualise.confusion_picture import render_confusion
from rspnet_platform.visualise.frozen_features import FrozenFeatures, frozen_features
from rspnet_platform.visualise.gallery import labelled_videos
from rspnet_platform.visualise.nearest_videos import Search, find_neighbours
from rspnet_platform.visualise.page_shell import Section, render_shell
from rspnet_platform.visualise.part_configs import ConfusionMatrixConfig

PAGE_NAME = "confusion_matrix.html"
HOW = "Each query is given the class of its nearest video, so that what is right is retrieval's top-1."


def draw_confusion_matrix(config: ConfusionMatrixConfig) -> dict[str, Any]:
    """Writes the page and returns what is on it. ValueError for a data set without labels."""
    dataset = open_dataset(config.data.shards, config.data.version)
    labelled = labelled_videos(dataset)
    output = storage.resolve_uri(config.output)
    frozen = frozen_features(
        dataset,
        labelled.video_indices,
        model=config.model,
        protocol=config.protocol,
        tracking=config.tracking,
        decoder=config.data.decoder,
        output=output,
        num_random_encoders=0,
    )
    matrix = nearest_class_confusion(labelled, frozen)
    protocol = f"{frozen.stamp}; {labelled.setting}"
    section = Section(name="confusion", title="Confusion", content=render_confusion(matrix, f"{HOW} ({protocol}.)"))
    content = render_shell(overline="Confusion matrix", title=f"{frozen.model} on {dataset.uri}", sections=[section])
    storage.write_bytes(storage.join(output, PAGE_NAME), content.encode())
    say(f"look at it: {storage.join(output, PAGE_NAME)}")
    return {
        "part": "confusion_matrix",
        "output": output,
        "files": [PAGE_NAME],
        "model": frozen.model,
        "protocol": protocol,
        "num_damaged": frozen.num_damaged,
        "num_videos": matrix.num_videos,
        "top1": matrix.accuracy,
        "classes": list(matrix.class_names),
        "counts": matrix.counts.tolist(),
    }


def nearest_class_confusion(labelled: LabelledVideos, frozen: FrozenFeatures) -> ConfusionMatrix:
    """Of all queries."""
    search = Search.of(labelled, frozen.features)
    found = find_neighbours(search, frozen.features, TRAINED, frozen.protocol, 1)
    predicted = classes_at(
        labelled, frozen.features, [found[query][0].video_index for query in search.queries.tolist()]
    )
    assert search.query_labels is not None
    return ConfusionMatrix.of(search.query_labels, predicted, labelled.class_names)


def classes_at(labelled: LabelledVideos, features: DatasetFeatures, video_indices: list[int]) -> np.ndarray:
    """Their classes' numbers."""
    found = labelled.found_in(features.video_indices)
    by_index = dict(zip(found.video_indices.tolist(), found.labels.tolist(), strict=True))
    return np.array([by_index[index] for index in video_indices], dtype=np.int64)
