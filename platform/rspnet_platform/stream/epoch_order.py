"""The order of an epoch: a pure function of (seed, epoch), whatever the cluster looks like."""

from collections.abc import Sequence

import numpy as np

from rspnet_core.random_streams import purpose_key


def epoch_order(
    row_groups: Sequence[np.ndarray], *, seed: int, epoch: int, num_row_groups_per_window: int
) -> np.ndarray:
    """Every video index of `row_groups` once. Row groups are permuted, then the videos within each window of them.

    A window bounds what a reader must hold at a time, and each row group lies in one window alone.
    """
    generator = np.random.default_rng((seed, epoch, purpose_key("epoch_order")))
    permuted = [row_groups[i] for i in generator.permutation(len(row_groups))]
    windows = []
    for first in range(0, len(permuted), num_row_groups_per_window):
        window = np.concatenate(permuted[first : first + num_row_groups_per_window])
        windows.append(generator.permutation(window))
    return np.concatenate(windows)
