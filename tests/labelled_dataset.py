"""A small data set to fine-tune on: labelled videos of two splits, of which four are cut from each source."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.shard_config import ShardConfig

from tests.videos import encode_video, moving_pictures

NUM_TRAIN, NUM_TEST = 32, 8


def rows() -> list[dict[str, str]]:
    """32 training and 8 test videos in turn of the classes `blue` and `red`, each of their colour."""
    return [
        {
            "path": f"{index:02d}.mp4",
            "label": ("red", "blue")[index % 2],
            "split": "train" if index < NUM_TRAIN else "test",
            "source": f"source_{index % 2}_{index // 8}",
        }
        for index in range(NUM_TRAIN + NUM_TEST)
    ]


def make_labelled_dataset(folder: Path, changes: Mapping[int, Mapping[str, str]] | None = None) -> ShardedDataset:
    """`changes` to the rows of single videos, by index: `{3: {"label": ""}}`."""
    table = [row | dict((changes or {}).get(index, {})) for index, row in enumerate(rows())]
    folder.mkdir(parents=True, exist_ok=True)
    for index, row in enumerate(table):
        colour = np.array([1.0, 0.2, 0.2] if index % 2 == 0 else [0.2, 0.2, 1.0])
        pictures = [(picture * colour).astype(np.uint8) for picture in moving_pictures(12, 48, 64, seed=index)]
        (folder / row["path"]).write_bytes(encode_video(pictures))
    with open(folder / "videos.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    config = IngestConfig(
        source=str(folder / "videos.csv"),
        output=str(folder / "shards"),
        short_side=48,
        shards=ShardConfig(max_videos_per_row_group=8),
    )
    return open_dataset(ingest(config).output)
