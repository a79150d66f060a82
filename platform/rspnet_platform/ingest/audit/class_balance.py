"""How many videos each class has on each side of the split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

NO_SPLIT = "(no split)"
OTHER_SPLITS = "(other splits)"
MAX_SPLITS = 8


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
    """One label and one split a video. All but the largest of many splits count as one."""
    kept = {name for name, _ in Counter(splits).most_common(MAX_SPLITS)}
    sides = [(split or NO_SPLIT) if split in kept else OTHER_SPLITS for split in splits]
    split_counts = Counter(sides)
    names = tuple(sorted(split_counts))
    counts = Counter((label, side) for label, side in zip(labels, sides, strict=True) if label)
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
