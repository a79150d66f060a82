"""How many videos each class has on each side of the split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

UNLABELLED = "(no label)"
NO_SPLIT = "(no split)"


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """`counts` follow the splits of the ClassBalance; `fractions` are of the largest class's videos."""

    name: str
    num_videos: int
    counts: tuple[int, ...]
    fractions: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ClassBalance:
    """`classes` are sorted by size, the largest first; videos without a label are not among them."""

    splits: tuple[str, ...]
    split_counts: tuple[int, ...]
    classes: tuple[ClassCount, ...]
    num_unlabelled: int


def class_balance(labels: Sequence[str | None], splits: Sequence[str | None]) -> ClassBalance:
    """One label and one split a video."""
    split_counts = Counter(split or NO_SPLIT for split in splits)
    names = tuple(sorted(split_counts))
    counts = Counter((label, split or NO_SPLIT) for label, split in zip(labels, splits, strict=True) if label)
    sizes = Counter(label for label in labels if label)
    largest = max(sizes.values(), default=1)
    classes = []
    for label, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        per_split = tuple(counts[label, name] for name in names)
        fractions = tuple(count / largest for count in per_split)
        classes.append(ClassCount(name=label, num_videos=size, counts=per_split, fractions=fractions))
    return ClassBalance(
        splits=names,
        split_counts=tuple(split_counts[name] for name in names),
        classes=tuple(classes),
        num_unlabelled=len(labels) - sum(sizes.values()),
    )
