"""The columns of a shard, one video a row, and how Parquet stores each of them."""

from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 2
VIDEO_COLUMN = "video"

METADATA_FIELDS = (
    pa.field("video_index", pa.int64(), nullable=False),
    pa.field("video_id", pa.string(), nullable=False),
    pa.field("label", pa.string()),
    pa.field("source", pa.string()),
    pa.field("split", pa.string()),
    pa.field("num_frames", pa.int32(), nullable=False),
    pa.field("frames_per_second", pa.float64(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("sha256", pa.string(), nullable=False),
)
PACKET_FIELDS = (
    pa.field("packet_offset", pa.list_(pa.int64()), nullable=False),
    pa.field("packet_size", pa.list_(pa.int32()), nullable=False),
    pa.field("packet_frame_index", pa.list_(pa.int32()), nullable=False),
    pa.field("packet_is_key", pa.list_(pa.bool_()), nullable=False),
    pa.field("packet_is_disposable", pa.list_(pa.bool_()), nullable=False),
    pa.field("extradata", pa.binary(), nullable=False),
)

CHECKSUM_FIELD = pa.field("checksum", pa.uint64(), nullable=False)
"""Of all that decoding a row relies on: see `shards.checksum`."""

SHARD_SCHEMA = pa.schema(
    [*METADATA_FIELDS, pa.field(VIDEO_COLUMN, pa.large_binary(), nullable=False), *PACKET_FIELDS, CHECKSUM_FIELD]
)

INPUT_FIELDS = (
    pa.field("input_codec", pa.string(), nullable=False),
    pa.field("input_pixel_format", pa.string(), nullable=False),
    pa.field("input_height", pa.int32(), nullable=False),
    pa.field("input_width", pa.int32(), nullable=False),
    pa.field("input_frames_per_second", pa.float64(), nullable=False),
    pa.field("input_num_frames", pa.int32(), nullable=False),
    pa.field("input_num_frames_promised", pa.int32()),
    pa.field("input_num_bytes", pa.int64(), nullable=False),
    pa.field("input_num_time_jumps", pa.int32()),
)
"""What the input file was: its pictures before rotation and scaling, and how many its container promised."""

VIDEOS_SCHEMA = pa.schema(
    [
        *METADATA_FIELDS,
        *INPUT_FIELDS,
        pa.field("encoded_sha256", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int32(), nullable=False),
    ]
)
"""`videos.parquet`: the metadata of every video, the hash of its `video` bytes, and where its row is."""

METADATA_COLUMNS = tuple(field.name for field in METADATA_FIELDS)
PACKET_COLUMNS = tuple(field.name for field in PACKET_FIELDS)
READING_COLUMNS = (
    *("video_index", "video_id", "num_frames", "frames_per_second", "height", "width"),
    *(VIDEO_COLUMN, *PACKET_COLUMNS, CHECKSUM_FIELD.name),
)
"""What decoding a clip needs of a row."""


def parquet_options() -> dict[str, Any]:
    """Arguments of `pyarrow.parquet.ParquetWriter` for a shard.

    Compressed video does not shrink, and a dictionary or statistics of it would copy whole videos.
    """
    other_columns = [name for name in SHARD_SCHEMA.names if name != VIDEO_COLUMN]
    lists = {name for name in PACKET_COLUMNS if name.startswith("packet_")}
    leaves = [f"{name}.list.element" if name in lists else name for name in other_columns]
    return {
        "compression": {VIDEO_COLUMN: "none"} | dict.fromkeys(leaves, "zstd"),
        "use_dictionary": ["label", "source", "split"],
        "write_statistics": list(METADATA_COLUMNS),
        "version": "2.6",
    }
