"""Which videos of a data set are trained on, which a choice is made on, which are tested on, and their classes."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rspnet_core.recognition.validation_part import validation_part
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.data_config import EVERY_SPLIT
from rspnet_platform.stream.splits import select_videos

NO_CLASS = -1


@dataclass(frozen=True, kw_only=True)
class RecognitionVideos:
    """`class_of_video`: int32 by video index, NO_CLASS for videos of other splits. The other arrays hold video indices
    in ascending order. `class_names` are those of the training split, in the order of their text."""

    class_names: tuple[str, ...]
    class_of_video: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def recognition_videos(
    dataset: ShardedDataset, *, train_split: str, test_split: str, validation_fraction: float, seed: int
) -> RecognitionVideos:
    """Validation videos are taken out of the training split. Raises ValueError for splits that do not exist or are not
    two, unlabelled videos in them, fewer than two classes, and test videos of a class that is not trained on."""
    check_splits(dataset, train_split, test_split)
    videos = dataset.videos.sort_by("video_index").select(["video_id", "label", "source"])
    train, test = (select_videos(dataset, split) for split in (train_split, test_split))
    train_labels = labels_of(videos.take(train), dataset.uri, train_split)
    test_labels = labels_of(videos.take(test), dataset.uri, test_split)
    names, train_classes = np.unique(train_labels, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            f"the split {train_split!r} of {dataset.uri} has one class, {names[0].item()!r}; accepted are two or more"
        )
    if unknown := sorted(set(test_labels.tolist()) - set(names.tolist())):
        raise ValueError(
            f"the split {test_split!r} of {dataset.uri} has the class {unknown[0]!r}, which {train_split!r} has not"
            f" ({len(unknown)} such classes); accepted are classes of the training split"
        )
    classes = np.full(len(videos), NO_CLASS, dtype=np.int32)
    classes[train] = train_classes
    classes[test] = np.searchsorted(names, test_labels)
    held_out = np.zeros(len(train), dtype=bool)
    if validation_fraction > 0:
        sources = videos["source"].take(train).to_pylist()
        held_out = validation_part(train_classes, sources, fraction=validation_fraction, seed=seed)
    return RecognitionVideos(
        class_names=tuple(names.tolist()),
        class_of_video=classes,
        train=train[~held_out],
        validation=train[held_out],
        test=test,
    )


def check_splits(dataset: ShardedDataset, train_split: str, test_split: str) -> None:
    """Training on all, or on what is tested, would make the number worthless."""
    if not dataset.description.splits:
        raise ValueError(
            f"the data set {dataset.uri} has no splits; accepted is one ingested with training and test videos "
            "(jobs/ingest.py --test-fraction 0.2 draws them where the source does not say)"
        )
    if EVERY_SPLIT in (train_split, test_split) or train_split == test_split:
        raise ValueError(
            f"data.split is {train_split!r} and test.split is {test_split!r}; accepted are two different splits of "
            f"{', '.join(sorted(dataset.description.splits))}"
        )


def labels_of(videos: pa.Table, dataset_uri: str, split: str) -> np.ndarray:
    """str [num_videos]. Raises ValueError that counts and names videos without a label."""
    labels = videos["label"]
    if labels.null_count:
        unlabelled = videos.filter(labels.is_null())["video_id"]
        raise ValueError(
            f"{labels.null_count} of the {len(videos)} videos in the split {split!r} of {dataset_uri} have no label, "
            f"such as {unlabelled[0].as_py()!r}; accepted is a split whose videos are all labelled"
        )
    return np.array(labels.to_pylist(), dtype=str)
