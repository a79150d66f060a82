"""Which training videos are held out to choose on, and whose labels are known where few are."""

from collections.abc import Sequence

import numpy as np


class TooFewSourcesError(ValueError):
    """`class_number`: of the first class that cannot be both trained on and held out; it has `num_videos` videos."""

    def __init__(self, class_number: int, num_videos: int) -> None:
        super().__init__(
            f"class {class_number} has {num_videos} training videos of too few sources to hold some out; accepted are "
            "classes of two sources or more"
        )
        self.class_number = class_number
        self.num_videos = num_videos


def validation_part(
    labels: np.ndarray, sources: Sequence[str | None], fraction: float, generator: np.random.Generator
) -> np.ndarray:
    """A mask over the videos: about `fraction` of each class, whole sources at a time. A video without a source is one
    of its own.

    Sources are taken in a drawn order: those whose every class has fewer held out than `fraction` asks for, and would
    still keep a video to train on. Raises TooFewSourcesError where a class cannot be on both sides because all of its
    videos have one source.
    """
    places: dict[object, list[int]] = {}
    for place, source in enumerate(sources):
        places.setdefault(place if source is None else source, []).append(place)
    num_in_class = np.bincount(labels)
    wanted, held_out = num_in_class * fraction, np.zeros_like(num_in_class)
    mask = np.zeros(len(labels), dtype=bool)
    groups = list(places.values())
    for group in (groups[index] for index in generator.permutation(len(groups))):
        counts = np.bincount(labels[group], minlength=len(num_in_class))
        classes = counts > 0
        if (held_out < wanted)[classes].all() and (held_out + counts < num_in_class)[classes].all():
            mask[group] = True
            held_out += counts
    if (without := np.flatnonzero((num_in_class > 0) & (held_out == 0))).size:
        raise TooFewSourcesError(int(without[0]), int(num_in_class[without[0]]))
    return mask


def few_labels(labels: np.ndarray, fraction: float, generator: np.random.Generator) -> np.ndarray:
    """Places of `fraction` of the videos, equally many of each class: at least one, and no more than it has."""
    classes = np.unique(labels)
    num_per_class = max(1, round(fraction * len(labels) / len(classes)))
    drawn = [generator.permutation(np.flatnonzero(labels == each))[:num_per_class] for each in classes]
    return np.sort(np.concatenate(drawn))
