"""Which videos a run trains on, and how they are mixed."""

from dataclasses import dataclass
from typing import Literal, get_args

Decoder = Literal["pyav", "decord"]

EVERY_SPLIT = "all"
"""What stands for the videos of all splits."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """`shards`: the folder or URI that jobs/ingest.py wrote; none for the embedded data set.

    `version`: of the data set, which `jobs/ingest.py --add` counts; none for the newest, and for a resumed run the one
    that it began on.

    `split`: train on this split alone; a data set without splits is trained on as a whole, and "all" takes every video
    of any data set.

    `num_row_groups_per_window`: videos are shuffled within so many row groups (of 64 videos or 16 MB each), which is
    what a decode task holds in memory.

    `num_samples_per_visit`: a video is decoded once for its samples of so many epochs, which costs less than once for
    each. What the samples are does not change, but the order does: videos come in one order for all these epochs, and
    a decode task holds its decoded samples of all but one of them.

    `max_damaged_fraction`: of the videos to train on, rounded up. A damaged video is missed in each epoch, counted and
    listed; more of them than that stop the run.

    `decoder`: how a data set of the profile `original` is decoded; none takes "pyav", which is right for every file.
    """

    shards: str | None = None
    version: int | None = None
    split: str = "train"
    num_row_groups_per_window: int = 4
    num_samples_per_visit: int = 1
    max_damaged_fraction: float = 0.01
    decoder: Decoder | None = None

    def __post_init__(self) -> None:
        for name in ("num_row_groups_per_window", "num_samples_per_visit"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are numbers from 1 on")
        check_max_damaged_fraction(self.max_damaged_fraction)
        if self.decoder is not None and self.decoder not in get_args(Decoder):
            raise ValueError(f"decoder is {self.decoder!r}; accepted are {', '.join(get_args(Decoder))}, or none")


def check_max_damaged_fraction(fraction: float) -> None:
    if not 0 <= fraction <= 1:
        raise ValueError(f"max_damaged_fraction is {fraction}; accepted are numbers from 0 to 1")
