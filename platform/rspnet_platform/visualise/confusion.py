"""Which class is taken for which: the numbers of a confusion matrix, and what of it stands out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_PAIRS = 12
"""That are named beside the matrix."""


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrix:
    """`counts`: int64 [true class, predicted class], both in the order of `class_names`."""

    class_names: tuple[str, ...]
    counts: np.ndarray

    def __post_init__(self) -> None:
        size = len(self.class_names)
        if self.counts.shape != (size, size) or (self.counts < 0).any():
            raise ValueError(f"counts are of shape {self.counts.shape}; accepted are {size} x {size} from 0 on")

    @classmethod
    def of(cls, true_classes: np.ndarray, predicted_classes: np.ndarray, names: Sequence[str]) -> "ConfusionMatrix":
        """Of two numbers of classes a video."""
        counts = np.zeros((len(names), len(names)), dtype=np.int64)
        np.add.at(counts, (true_classes, predicted_classes), 1)
        return cls(class_names=tuple(names), counts=counts)

    @property
    def num_videos(self) -> int:
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """The share of videos of all classes together that are right."""
        return float(self.counts.trace() / max(self.num_videos, 1))

    @property
    def shares(self) -> np.ndarray:
        """float64: each row over its sum; zeros in the row of a class without videos."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    @property
    def pairs(self) -> list["ConfusedPair"]:
        """The wrong answers that are given most often: by number, then by share of the class's videos."""
        shares = self.shares
        wrong = [(row, column) for row, column in np.argwhere(self.counts).tolist() if row != column]
        wrong.sort(key=lambda place: (-self.counts[place], -shares[place], place))
        return [
            ConfusedPair(
                true_class=self.class_names[row],
                predicted_class=self.class_names[column],
                count=int(self.counts[row, column]),
                share=float(shares[row, column]),
            )
            for row, column in wrong[:NUM_PAIRS]
        ]


@dataclass(frozen=True, kw_only=True)
class ConfusedPair:
    """`share` of the true class's videos."""

    true_class: str
    predicted_class: str
    count: int
    share: float
