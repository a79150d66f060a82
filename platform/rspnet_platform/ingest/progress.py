"""How far an ingest has come: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def ingest_progress(file: TextIO | None = None) -> Iterator[Callable[[int, int, int], None]]:
    """Yields `progress(num_done, num_in_all, num_refused)` for `ingest`, shown on standard error or in `file`.

    What was done before the first call, by the run that this one resumes, counts as done and not as fast.
    """
    with _bar(file or sys.stderr) as bar:

        def progress(num_done: int, num_in_all: int, num_refused: int) -> None:
            bar.set_postfix_str(f"{num_refused} refused", refresh=False)
            if bar.total is None:
                bar.total, bar.initial, bar.n, bar.last_print_n = num_in_all, num_done, num_done, num_done
                bar.refresh()
            else:
                bar.update(num_done - bar.n)

        yield progress


def _bar(file: TextIO) -> tqdm:
    """smoothing=0: the rate is the average since the start, for results come in bursts."""
    if file.isatty():
        return tqdm(desc="ingest", unit="video", file=file, mininterval=0.2, miniters=1, smoothing=0)
    return _Lines(
        desc="ingest", unit="video", file=file, mininterval=SECONDS_BETWEEN_LINES, miniters=1, smoothing=0, ncols=100
    )


class _Lines(tqdm):
    """A log file keeps every state of a bar: it gets few of them, one a line."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:  # noqa: ARG002 (of tqdm)
        if self.total is not None and msg is None:
            self.fp.write(f"{self}\n")
            self.fp.flush()
