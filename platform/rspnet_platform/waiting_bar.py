"""How far something is, for a person who waits."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tqdm import tqdm

Batch = TypeVar("Batch", bound=Mapping[str, Any])

SECONDS_BETWEEN_UPDATES, SECONDS_BETWEEN_LINES = 0.5, 15.0


def waiting_bar(what: str, unit: str, *, total: int, num_left: int) -> tqdm:
    """On a terminal a bar, elsewhere a line now and then; what was done before counts as done and not as fast."""
    interval = SECONDS_BETWEEN_UPDATES if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    return tqdm(
        desc=what,
        unit=unit,
        total=total,
        initial=total - num_left,
        mininterval=interval,
        maxinterval=2 * interval,
        file=sys.stderr,
        dynamic_ncols=True,
    )


def counting(batches: Iterable[Batch], what: str, *, num_videos: int) -> Iterator[Batch]:
    """The batches, each with a column `video_index`, under a bar of the videos that have come."""
    with waiting_bar(what, "video", total=num_videos, num_left=num_videos) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch["video_index"]))
