"""How good a classifier's probabilities are: numpy alone."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class RecognitionScores:
    """`top5` is None with five classes or fewer, where it would say nothing. `confusion`: int64 [true class, predicted
    class]. `class_accuracy`: float64 [class], NaN for a class without videos; `mean_class_accuracy` is over the others.
    """

    num_videos: int
    top1: float
    top5: float | None
    mean_class_accuracy: float
    class_accuracy: np.ndarray
    confusion: np.ndarray


def score(probabilities: np.ndarray, labels: np.ndarray) -> RecognitionScores:
    """`probabilities`: float [num_videos, num_classes]; `labels`: int [num_videos]. Of equal probabilities the class
    that comes first wins. Raises ValueError for no videos at all."""
    if not len(labels):
        raise ValueError("there are no videos to score; accepted are one or more")
    num_classes = probabilities.shape[1]
    order = np.argsort(-probabilities, axis=1, kind="stable")
    places = np.argmax(order == labels[:, None], axis=1)
    confusion = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    num_videos_of = confusion.sum(axis=1)
    shares = np.full(num_classes, np.nan)
    np.divide(confusion.diagonal(), num_videos_of, out=shares, where=num_videos_of > 0)
    return RecognitionScores(
        num_videos=len(labels),
        top1=float((places == 0).mean()),
        top5=float((places < 5).mean()) if num_classes > 5 else None,
        mean_class_accuracy=float(np.nanmean(shares)),
        class_accuracy=shares,
        confusion=confusion,
    )
