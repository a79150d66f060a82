"""Which videos a run trains on, and how they are mixed."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """`shards`: the folder or URI that jobs/ingest.py wrote; none for the embedded data set.

    `split`: train on this split alone; a data set without splits is trained on as a whole, and "all" takes every video
    of any data set.

    `num_row_groups_per_window`: videos are shuffled within so many row groups (of 64 videos or 16 MB each), which is
    what a decode task holds in memory.
    """

    shards: str | None = None
    split: str = "train"
    num_row_groups_per_window: int = 4

    def __post_init__(self) -> None:
        if self.num_row_groups_per_window < 1:
            raise ValueError(
                f"num_row_groups_per_window is {self.num_row_groups_per_window}; accepted are numbers from 1 on"
            )
