"""Which videos of a data set are meant."""

import numpy as np

from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.data_config import EVERY_SPLIT


def select_videos(dataset: ShardedDataset, split: str) -> np.ndarray:
    """Indices of the videos of one split; of all for "all", and for a data set that has no splits.

    Raises ValueError for a split that the data set does not have, naming those that it has.
    """
    videos, splits = dataset.videos, dataset.description.splits
    if split != EVERY_SPLIT and splits:
        if split not in splits:
            raise ValueError(
                f"the data set {dataset.uri} has no split {split!r}; accepted are {', '.join(sorted(splits))} and 'all'"
            )
        videos = videos.filter(np.array(videos["split"].to_pylist(), dtype=object) == split)
    return np.sort(videos["video_index"].to_numpy())
