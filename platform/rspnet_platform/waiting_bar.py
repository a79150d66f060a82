"""How far something is, for a person who waits."""

import sys

from tqdm import tqdm

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
