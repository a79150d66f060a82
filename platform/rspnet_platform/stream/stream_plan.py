"""What a run has left to read, cut into executions, read tasks and blocks: pure arithmetic, equal on every machine."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.visit_order import SampleStretch, VisitOrder

MAX_SAMPLES_PER_EXECUTION = 500_000
"""One iteration over the Ray data set: several epochs of a small data set, so that their starts cost nothing, and a
bounded number of read tasks for a large one."""

MAX_VIDEOS_PER_SHARE = 256
"""One read task. Tasks that begin inside a row group read it twice, so they should not be much smaller than it."""


@dataclass(frozen=True, kw_only=True)
class VideoLocations:
    """Where each video lies, by video index."""

    shard_names: tuple[str, ...]
    shard: np.ndarray
    row_group: np.ndarray
    row: np.ndarray

    @classmethod
    def from_dataset(cls, dataset: ShardedDataset) -> "VideoLocations":
        table = dataset.videos.sort_by("video_index")
        names, shard = np.unique(table["shard"].to_numpy(zero_copy_only=False), return_inverse=True)
        return cls(
            shard_names=tuple(names.tolist()),
            shard=shard,
            row_group=table["row_group"].to_numpy(),
            row=table["row"].to_numpy(),
        )

    def of(self, video_indices: np.ndarray) -> tuple[tuple[str, int, int], ...]:
        """(shard, row group, row) of each."""
        columns = (self.shard[video_indices], self.row_group[video_indices], self.row[video_indices])
        return tuple(
            (self.shard_names[shard], group, row)
            for shard, group, row in zip(*(c.tolist() for c in columns), strict=True)
        )

    def by_row_group(self, video_indices: np.ndarray) -> list[np.ndarray]:
        """The given videos, split by the row group that they lie in."""
        keys = self.shard[video_indices].astype(np.int64) << 32 | self.row_group[video_indices]
        order = np.argsort(keys, kind="stable")
        boundaries = np.flatnonzero(np.diff(keys[order])) + 1
        return np.split(video_indices[order], boundaries)


@dataclass(frozen=True, kw_only=True)
class ExecutionSamples:
    """The samples of one execution, in order. Each share is what one read task has to do, and ends at `share_ends`."""

    epochs: np.ndarray
    video_indices: np.ndarray
    share_ends: np.ndarray
    num_samples_per_visit: int

    def in_shares(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        for last in self.share_ends.tolist():
            yield self.epochs[first:last], self.video_indices[first:last]
            first = last


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """A run's samples: `num_epochs` times each of `video_indices`, less what is consumed, in whole global batches.

    Global batches go on over the end of an epoch, so that every one is full and no video is dropped; what is left at
    the end of the last epoch, less than one batch, is not trained on (`num_samples_dropped`). `worker_counts` are the
    numbers of workers that the run may have, now or after a restart.

    `num_samples_per_visit` decides on the order alone, not on what a sample is. A visit group has at least as many
    videos as a batch, so that no batch holds a video twice, other than where the order goes over from some epochs to
    the next.
    """

    dataset_uri: str
    locations: VideoLocations
    video_indices: np.ndarray
    seed: int
    num_epochs: int
    global_batch_size: int
    worker_counts: tuple[int, ...]
    num_row_groups_per_window: int
    consumed: ConsumedVideos
    num_samples_per_visit: int = 1
    max_samples_per_execution: int = MAX_SAMPLES_PER_EXECUTION

    def __post_init__(self) -> None:
        for num_workers in self.worker_counts:
            if self.global_batch_size % num_workers:
                raise ValueError(
                    f"a global batch of {self.global_batch_size} does not divide among {num_workers} workers; "
                    "accepted are numbers of workers, over the whole range, that divide it"
                )
        if self.global_batch_size > len(self.video_indices):
            raise ValueError(
                f"a global batch of {self.global_batch_size} exceeds the {len(self.video_indices)} videos to train on; "
                f"accepted are batches up to {len(self.video_indices)}"
            )

    @property
    def num_steps(self) -> int:
        """Of the whole run."""
        return self.num_epochs * len(self.video_indices) // self.global_batch_size

    @property
    def num_samples_dropped(self) -> int:
        return self.num_epochs * len(self.video_indices) % self.global_batch_size

    @property
    def num_samples_left(self) -> int:
        return max(0, self.num_steps * self.global_batch_size - self.consumed.num_samples)

    @property
    def num_rows_per_block(self) -> int:
        """What divides one worker's part of a batch, whatever their number turns out to be."""
        return math.gcd(*(self.global_batch_size // num_workers for num_workers in self.worker_counts))

    @property
    def num_samples_per_execution(self) -> int:
        return max(1, self.max_samples_per_execution // self.global_batch_size) * self.global_batch_size

    @property
    def num_videos_per_share(self) -> int:
        """One visit group. A multiple of a block; for a small data set small enough that eight tasks make an epoch."""
        target = min(MAX_VIDEOS_PER_SHARE, len(self.video_indices) // 8)
        if self.num_samples_per_visit > 1:
            target = max(target, self.global_batch_size)
        return max(1, target // self.num_rows_per_block) * self.num_rows_per_block

    @property
    def max_samples_waiting(self) -> int:
        """How many decoded samples a read task keeps until their pass over its visit group is due."""
        num_passes = min(self.num_samples_per_visit, self.num_epochs)
        return (num_passes - 1) * self.visit_order.num_videos_in_largest_group

    @property
    def visit_order(self) -> VisitOrder:
        return VisitOrder(
            row_groups=self.locations.by_row_group(self.video_indices),
            seed=self.seed,
            num_epochs=self.num_epochs,
            num_row_groups_per_window=self.num_row_groups_per_window,
            num_samples_per_visit=self.num_samples_per_visit,
            num_videos_per_group=self.num_videos_per_share,
        )

    @property
    def num_executions(self) -> int:
        return -(-self.num_samples_left // self.num_samples_per_execution)

    def execution(self, index: int) -> ExecutionSamples:
        """The samples of the `index`-th iteration over the data set from here on; none past the last."""
        first = index * self.num_samples_per_execution
        last = max(first, min(first + self.num_samples_per_execution, self.num_samples_left))
        epochs, videos, group_ends = [no_numbers()], [no_numbers()], [no_numbers()]
        position = 0
        for stretch in self._remaining():
            inside = slice(max(0, first - position), max(0, last - position))
            epochs.append(stretch.epochs[inside])
            videos.append(stretch.video_indices[inside])
            group_ends.append(position + np.cumsum(stretch.group_sizes))
            position += len(stretch.epochs)
            if position >= last:
                break
        return ExecutionSamples(
            epochs=np.concatenate(epochs),
            video_indices=np.concatenate(videos),
            share_ends=self._share_ends(np.concatenate(group_ends) - first, last - first),
            num_samples_per_visit=self.num_samples_per_visit,
        )

    def _share_ends(self, group_ends: np.ndarray, num_samples: int) -> np.ndarray:
        """Shares end with visit groups, or up to a block before them: all blocks but the last are full."""
        whole_blocks = group_ends // self.num_rows_per_block * self.num_rows_per_block
        inside = whole_blocks[(whole_blocks > 0) & (whole_blocks < num_samples)]
        return np.unique(np.append(inside, num_samples)) if num_samples else no_numbers()

    def _remaining(self) -> Iterator[SampleStretch]:
        first_epoch, masks = self.consumed.first_open_epoch, self.consumed.masks
        for stretch in self.visit_order.stretches(first_epoch):
            is_left = stretch.epochs >= first_epoch
            for epoch in masks.keys() & set(range(stretch.epochs.min(), stretch.epochs.max() + 1)):
                of_epoch = np.flatnonzero(stretch.epochs == epoch)
                is_left[of_epoch] &= ~masks[epoch][stretch.video_indices[of_epoch]]
            yield stretch.where(is_left)


def no_numbers() -> np.ndarray:
    return np.zeros(0, dtype=np.int64)
