"""In which order a run visits its videos, and in which order their samples are trained on.

A visit decodes a video once for its samples of `num_samples_per_visit` epochs in a row. Visits form groups, and a
group emits one pass over its videos for each of those epochs, so that two samples of one video are a whole group apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rspnet_platform.stream.epoch_order import epoch_order


@dataclass(frozen=True, kw_only=True)
class SampleStretch:
    """Samples in order, as (epoch, video index); `group_sizes` are the numbers of them in one visit group after the
    other."""

    epochs: np.ndarray
    video_indices: np.ndarray
    group_sizes: np.ndarray

    def where(self, is_kept: np.ndarray) -> "SampleStretch":
        """Some of the samples, in the same groups."""
        group = np.repeat(np.arange(len(self.group_sizes)), self.group_sizes)
        return SampleStretch(
            epochs=self.epochs[is_kept],
            video_indices=self.video_indices[is_kept],
            group_sizes=np.bincount(group[is_kept], minlength=len(self.group_sizes)),
        )


@dataclass(frozen=True, kw_only=True)
class VisitOrder:
    """The order of a whole run, whatever has been trained on: a pure function of these values.

    Epochs are taken `num_samples_per_visit` at a time. The videos of each such batch of epochs have one order, that of
    `epoch_order`. Visit groups of `num_videos_per_group` go on over its end, as batches do over an epoch's; the last
    group of all takes what is left over too. Where the last batch has fewer epochs, its groups begin anew. With one
    sample a visit this is one epoch's order after the other.
    """

    row_groups: Sequence[np.ndarray]
    seed: int
    num_epochs: int
    num_row_groups_per_window: int
    num_samples_per_visit: int
    num_videos_per_group: int

    @property
    def num_videos(self) -> int:
        return sum(map(len, self.row_groups))

    @property
    def num_videos_in_largest_group(self) -> int:
        """A group that ends the run, or its last whole batch of epochs, takes what is left over."""
        num_whole, num_last = divmod(self.num_epochs, self.num_samples_per_visit)
        rests = [
            count * self.num_videos % self.num_videos_per_group for count in (num_whole, min(1, num_last)) if count
        ]
        return self.num_videos_per_group + max(rests)

    def stretches(self, first_epoch: int) -> Iterator[SampleStretch]:
        """The samples from `first_epoch` on, with some before it. Each stretch ends with a group."""
        num_whole = self.num_epochs // self.num_samples_per_visit
        num_batches = -(-self.num_epochs // self.num_samples_per_visit)
        first_batch = first_epoch // self.num_samples_per_visit
        waiting = self._visits_before(first_batch) if first_batch < num_whole else self._no_visits()
        for batch in range(first_batch, num_batches):
            waiting = np.concatenate([waiting, self._visits(batch)], axis=1)
            is_last = batch + 1 in (num_whole, num_batches)
            num_groups = waiting.shape[1] // self.num_videos_per_group - int(is_last)
            num_regular = num_groups * self.num_videos_per_group
            num_passes = min(self.num_samples_per_visit, self.num_epochs - batch * self.num_samples_per_visit)
            if num_groups:
                yield in_passes(waiting[:, :num_regular], num_groups, num_passes)
            waiting = waiting[:, num_regular:]
            if is_last:
                yield in_passes(waiting, 1, num_passes)
                waiting = self._no_visits()

    def _visits(self, batch: int) -> np.ndarray:
        """(first epoch, video index) of each visit in a batch of epochs: [2, num_videos]."""
        order = epoch_order(
            self.row_groups,
            seed=self.seed,
            epoch=batch,
            num_row_groups_per_window=self.num_row_groups_per_window,
        )
        return np.stack([np.full_like(order, batch * self.num_samples_per_visit), order])

    def _visits_before(self, batch: int) -> np.ndarray:
        """Those of the batch before that share their group with this batch's first."""
        num_shared = batch * self.num_videos % self.num_videos_per_group
        return self._visits(batch - 1)[:, -num_shared:] if num_shared else self._no_visits()

    def _no_visits(self) -> np.ndarray:
        return np.zeros((2, 0), dtype=np.int64)


def in_passes(visits: np.ndarray, num_groups: int, num_passes: int) -> SampleStretch:
    """The samples of `num_groups` groups of equal size: of each group, pass after pass."""
    grouped = visits.reshape(2, num_groups, 1, -1).repeat(num_passes, axis=2)
    epochs = grouped[0] + np.arange(num_passes)[:, None]
    size = num_passes * grouped.shape[-1]
    return SampleStretch(
        epochs=epochs.reshape(-1), video_indices=grouped[1].reshape(-1), group_sizes=np.full(num_groups, size)
    )
