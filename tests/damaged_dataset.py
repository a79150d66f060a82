"""A data set in which some videos are damaged."""

import shutil
from collections.abc import Collection
from pathlib import Path

import pyarrow.parquet as pq
from rspnet_platform.shards.dataset import ShardedDataset


def damage_videos(dataset: ShardedDataset, folder: Path, video_indices: Collection[int]) -> str:
    """A copy of the data set in which the packets of these videos are zeros."""
    shutil.copytree(dataset.uri, folder)
    for shard in sorted(set(dataset.videos["shard"].to_pylist())):
        source = pq.ParquetFile(f"{dataset.uri}/{shard}")
        with pq.ParquetWriter(folder / shard, source.schema_arrow) as writer:
            for group in range(source.num_row_groups):
                table = source.read_row_group(group)
                rows = table.to_pylist()
                for row in rows:
                    if row["video_index"] in video_indices:
                        row["video"] = bytes(len(row["video"]))
                writer.write_table(type(table).from_pylist(rows, schema=table.schema))
    return str(folder)
