"""A data set of the profile `original`, from one of the profile `indexed` and the files that it was made of."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rspnet_platform.shards.checksum import row_checksum
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.shards.schema import SHARD_SCHEMA, parquet_options

from rspnet_core.sampling.clip_plan import VideoInfo

NO_PACKETS = {
    "packet_offset": [],
    "packet_size": [],
    "packet_frame_index": [],
    "packet_is_key": [],
    "packet_is_disposable": [],
    "extradata": b"",
}


def as_original(indexed: ShardedDataset, videos_folder: Path, folder: Path) -> ShardedDataset:
    """The same videos, rows and geometry, with each input file's own bytes."""
    shutil.copytree(indexed.uri, folder)
    for shard in sorted(set(indexed.videos["shard"].to_pylist())):
        source = pq.ParquetFile(f"{indexed.uri}/{shard}")
        with pq.ParquetWriter(folder / shard, SHARD_SCHEMA, **parquet_options()) as writer:
            for group in range(source.num_row_groups):
                rows = [original_row(row, videos_folder) for row in source.read_row_group(group).to_pylist()]
                writer.write_table(pa.Table.from_pylist(rows, schema=SHARD_SCHEMA))
    description = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(description | {"profile": "original"}))
    return open_dataset(str(folder))


def original_row(row: dict, videos_folder: Path) -> dict:
    names = ("video_index", "num_frames", "frames_per_second", "height", "width")
    info = VideoInfo(**{name: row[name] for name in names})
    video = (videos_folder / row["video_id"]).read_bytes()
    checksum = row_checksum(info, video, PacketIndex.from_row(NO_PACKETS))
    return row | NO_PACKETS | {"video": video, "checksum": checksum}
