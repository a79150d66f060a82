"""A data set of many rows out of a few videos: streams are measured on row groups and read tasks of the usual size,
and encoding a thousand videos for that would take an hour."""

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rspnet_platform.shards.checksum import row_checksum
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.shards.schema import SHARD_SCHEMA, VIDEOS_SCHEMA, parquet_options

from rspnet_core.sampling.clip_plan import VideoInfo

NUM_VIDEOS_PER_ROW_GROUP = 64
SHARD = "shard-00000.parquet"
INFO_COLUMNS = ("video_index", "num_frames", "frames_per_second", "height", "width")


def repeat_dataset(dataset: Path, output: Path, num_videos: int) -> None:
    """Writes `num_videos` rows, the videos of `dataset` over and over, each under a number of its own."""
    output.mkdir()
    description = json.loads((dataset / "dataset.json").read_text())
    videos = pq.read_table(dataset / description["videos_file"]).sort_by("video_index").to_pylist()
    shards = {row["shard"] for row in videos}
    rows = {row["video_id"]: row for shard in shards for row in pq.read_table(dataset / shard).to_pylist()}
    repeated = [repeated_row(rows[v["video_id"]], i) for i, v in zip(range(num_videos), itertools.cycle(videos))]
    with pq.ParquetWriter(output / SHARD, SHARD_SCHEMA, **parquet_options()) as writer:
        for first in range(0, num_videos, NUM_VIDEOS_PER_ROW_GROUP):
            group = repeated[first : first + NUM_VIDEOS_PER_ROW_GROUP]
            writer.write_table(pa.Table.from_pylist(group, SHARD_SCHEMA), row_group_size=len(group))
    table = [repeated_entry(v, i) for i, v in zip(range(num_videos), itertools.cycle(videos))]
    pq.write_table(pa.Table.from_pylist(table, VIDEOS_SCHEMA), output / description["videos_file"])
    description |= {"num_videos": num_videos, "num_frames": sum(row["num_frames"] for row in table)}
    (output / "dataset.json").write_text(json.dumps(description))


def repeated_row(row: dict[str, Any], video_index: int) -> dict[str, Any]:
    row = row | {"video_index": video_index, "video_id": f"{video_index:06d}"}
    info = VideoInfo(**{name: row[name] for name in INFO_COLUMNS})
    return row | {"checksum": row_checksum(info, row["video"], PacketIndex.from_row(row))}


def repeated_entry(video: dict[str, Any], video_index: int) -> dict[str, Any]:
    row_group, row = divmod(video_index, NUM_VIDEOS_PER_ROW_GROUP)
    place = {"shard": SHARD, "row_group": row_group, "row": row}
    return video | {"video_index": video_index, "video_id": f"{video_index:06d}"} | place
