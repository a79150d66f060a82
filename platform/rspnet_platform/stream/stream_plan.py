"""What a run has left to read, cut into executions, read tasks and blocks: pure arithmetic, equal on every machine."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.epoch_order import remaining_samples

MAX_SAMPLES_PER_EXECUTION = 500_000
"""One iteration over the Ray data set: several epochs of a small data set, so that their starts cost nothing, and a
bounded number of read tasks for a large one."""

MAX_SAMPLES_PER_SHARE = 256
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
    """The samples of one execution, in order."""

    epochs: np.ndarray
    video_indices: np.ndarray
    num_samples_per_share: int

    def in_shares(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, len(self.epochs), self.num_samples_per_share):
            some = slice(first, first + self.num_samples_per_share)
            yield self.epochs[some], self.video_indices[some]


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """A run's samples: `num_epochs` times each of `video_indices`, less what is consumed, in whole global batches.

    Global batches go on over the end of an epoch, so that every one is full and no video is dropped; what is left at
    the end of the last epoch, less than one batch, is not trained on (`num_samples_dropped`). `worker_counts` are the
    numbers of workers that the run may have, now or after a restart.
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
    def num_samples_per_share(self) -> int:
        """A multiple of a block; for a small data set small enough that eight tasks make an epoch."""
        target = min(MAX_SAMPLES_PER_SHARE, len(self.video_indices) // 8)
        return max(1, target // self.num_rows_per_block) * self.num_rows_per_block

    @property
    def num_executions(self) -> int:
        return -(-self.num_samples_left // self.num_samples_per_execution)

    def execution(self, index: int) -> ExecutionSamples:
        """The samples of the `index`-th iteration over the data set from here on; none past the last."""
        first = index * self.num_samples_per_execution
        last = min(first + self.num_samples_per_execution, self.num_samples_left)
        epochs, videos = self._slice(first, max(first, last))
        return ExecutionSamples(epochs=epochs, video_indices=videos, num_samples_per_share=self.num_samples_per_share)

    def _slice(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        position = 0
        for epochs, videos in self._remaining():
            inside = slice(max(0, first - position), max(0, last - position))
            parts.append((epochs[inside], videos[inside]))
            position += len(epochs)
            if position >= last:
                break
        none = np.zeros(0, dtype=np.int64)
        epoch_parts, video_parts = zip(*parts, strict=True) if parts else ((none,), (none,))
        return np.concatenate(epoch_parts), np.concatenate(video_parts)

    def _remaining(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return remaining_samples(
            self.locations.by_row_group(self.video_indices),
            seed=self.seed,
            num_row_groups_per_window=self.num_row_groups_per_window,
            first_epoch=self.consumed.first_open_epoch,
            num_epochs=self.num_epochs,
            consumed_masks=self.consumed.masks,
        )
