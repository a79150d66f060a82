"""A part of the training videos that choices are made on, so that none is made on the test videos."""

from collections import Counter
from collections.abc import Sequence
from math import ceil

import numpy as np

from rspnet_core.random_streams import purpose_key


def validation_part(labels: np.ndarray, sources: Sequence[str | None], *, fraction: float, seed: int) -> np.ndarray:
    """bool [num_videos]: which of the videos are for validation, about `fraction` of each class.

    Videos of one source stay together; a video without a source is one of its own. Sources are taken in the seed's
    order, each where all of its classes still lack videos and keep at least half of theirs for training. Classes of a
    single source are therefore not validated on. `labels`: int [num_videos].

    Raises ValueError where no source can be spared.
    """
    groups, classes = source_groups(sources), labels.tolist()
    num_videos_of, taken = Counter(classes), Counter[int]()
    wanted = {label: ceil(fraction * num_videos) for label, num_videos in num_videos_of.items()}
    chosen = np.zeros(len(labels), dtype=bool)
    for place in np.random.default_rng((seed, purpose_key("validation_part"))).permutation(len(groups)).tolist():
        # Counted without numpy, which takes minutes for a million sources of a video each.
        counts = Counter(classes[video] for video in groups[place])
        if all(taken[c] < wanted[c] and taken[c] + count <= num_videos_of[c] / 2 for c, count in counts.items()):
            taken.update(counts)
            chosen[groups[place]] = True
    if not chosen.any():
        raise ValueError(
            f"no videos of the {len(labels)} to train on can be spared for validation ({len(groups)} sources): each "
            "would take more than half of a class; accepted: validation.fraction 0, which takes the last epoch"
        )
    return chosen


def source_groups(sources: Sequence[str | None]) -> list[list[int]]:
    """The places of each source's videos, sources in the order of their first video."""
    places_of: dict[object, list[int]] = {}
    for place, source in enumerate(sources):
        places_of.setdefault(place if source is None else source, []).append(place)
    return list(places_of.values())
