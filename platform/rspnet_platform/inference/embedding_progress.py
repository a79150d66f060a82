"""How far an embedding is, for a person who waits."""

import sys

from tqdm import tqdm


def progress_bar(num_videos: int, num_left: int) -> tqdm:
    """On a terminal a bar, elsewhere a line now and then; what was done before counts as done and not as fast."""
    interval = 0.5 if sys.stderr.isatty() else 15.0
    return tqdm(
        desc="embedding",
        unit="video",
        total=num_videos,
        initial=num_videos - num_left,
        mininterval=interval,
        maxinterval=2 * interval,
        file=sys.stderr,
        dynamic_ncols=True,
    )
