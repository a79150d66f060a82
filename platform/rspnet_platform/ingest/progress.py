"""A progress bar for an ingest."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0
"""Where standard error is not a terminal, a bar is a line now and then."""


@contextmanager
def ingest_progress() -> Iterator[Callable[[int, int, int], None]]:
    """Yields `progress(num_done, num_in_all, num_refused)` for `ingest`."""
    interval = 0.2 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES
    with tqdm(
        desc="ingest", unit="video", file=sys.stderr, mininterval=interval, maxinterval=60, dynamic_ncols=True
    ) as bar:

        def progress(num_done: int, num_in_all: int, num_refused: int) -> None:
            bar.total = num_in_all
            bar.set_postfix_str(f"{num_refused} refused", refresh=False)
            bar.update(num_done - bar.n)

        yield progress
