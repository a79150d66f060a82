"""What a data set says of itself, and reading videos out of its shards."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform import storage
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.shards.schema import (
    READING_COLUMNS,
    SCHEMA_VERSION,
    VIDEO_COLUMN,
    VIDEOS_SCHEMA,
)

DESCRIPTION_NAME = "dataset.json"
VIDEOS_NAME = "videos.parquet"
REFUSALS_NAME = "refusals.parquet"


@dataclass(frozen=True, kw_only=True)
class DatasetDescription:
    """`dataset.json`. It is written last: a folder without it is not a data set.

    `manifest_sha256` is the data set's identity (metadata and pixels of every video, in order);
    `ingest_sha256` that of the command that made it (listing of the source and settings).
    """

    schema_version: int
    profile: str
    short_side: int
    num_videos: int
    num_frames: int
    num_refused: int
    class_names: tuple[str, ...]
    splits: Mapping[str, int]
    manifest_sha256: str
    ingest_sha256: str
    decoder: str
    encoder: str
    codec_settings: Mapping[str, str]
    created_by: str

    def to_json(self) -> dict[str, Any]:
        """A value that `from_json` takes back."""
        return asdict(self) | {"class_names": list(self.class_names), "splits": dict(self.splits)}

    @classmethod
    def from_json(cls, value: Any, uri: str) -> "DatasetDescription":
        """ValueError, naming `uri`, for an unknown schema version or missing keys; other keys are ignored."""
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version != SCHEMA_VERSION:
            raise ValueError(f"{uri} has schema version {version!r}; accepted: {SCHEMA_VERSION}")
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in value]:
            raise ValueError(f"{uri} lacks {', '.join(missing)}")
        known: dict[str, Any] = {name: value[name] for name in names}
        known["class_names"] = tuple(known["class_names"])
        return cls(**known)


@dataclass(frozen=True, kw_only=True)
class ShardedDataset:
    """An opened data set. `videos` has one row a video, in the order of `video_index` (see VIDEOS_SCHEMA)."""

    uri: str
    description: DatasetDescription
    videos: pa.Table


@dataclass(frozen=True, kw_only=True)
class EncodedVideo:
    """One row of a shard, ready for `read_frames(video.data, video.index, wanted)`.

    `data` is a view of the row group's Arrow buffer: it keeps the buffer alive and copies nothing.
    """

    info: VideoInfo
    video_id: str
    data: bytes | memoryview
    index: PacketIndex


def open_dataset(uri: str) -> ShardedDataset:
    """Reads the description and the table of videos, not the videos.

    ValueError when there is no data set at `uri` or it has an unknown schema version; StorageError when the
    store fails.
    """
    uri = storage.resolve_uri(uri)
    description_uri = storage.join(uri, DESCRIPTION_NAME)
    try:
        value = storage.read_json(description_uri)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{uri} is not a data set: no {DESCRIPTION_NAME}; make one with"
            " python jobs/ingest.py --source ... --output ..."
        ) from None
    description = DatasetDescription.from_json(value, description_uri)
    videos = read_table(storage.join(uri, VIDEOS_NAME))
    if len(videos) != description.num_videos or not set(VIDEOS_SCHEMA.names) <= set(videos.column_names):
        raise ValueError(
            f"{storage.join(uri, VIDEOS_NAME)} holds {len(videos)} videos with columns {videos.column_names};"
            f" {DESCRIPTION_NAME} promises {description.num_videos} with {VIDEOS_SCHEMA.names}"
        )
    return ShardedDataset(uri=uri, description=description, videos=videos)


def read_refusals(dataset_uri: str) -> list[dict[str, Any]]:
    """What the ingest refused: path, reason and detail of each."""
    return read_table(storage.join(dataset_uri, REFUSALS_NAME)).to_pylist()


def read_table(uri: str) -> pa.Table:
    """A whole small Parquet file. StorageError when it is not Parquet."""
    data = storage.read_bytes(uri)
    try:
        return pq.read_table(pa.BufferReader(data))
    except pa.ArrowException as error:
        raise storage.StorageError(f"{uri} is not a readable Parquet file: {error}") from error


def read_videos(dataset_uri: str, shard: str, row_group: int, rows: Sequence[int]) -> list[EncodedVideo]:
    """The videos at `rows` of one row group of the shard file named `shard`, in the order asked.

    The row group is read as a whole: a store answers one long request faster than many short ones.
    ValueError for a row or row group that the shard does not have, StorageError when the store fails.
    """
    uri = storage.join(dataset_uri, shard)
    table = _read_row_group(uri, row_group)
    if bad := [row for row in rows if not 0 <= row < len(table)]:
        raise ValueError(f"rows {bad} were asked of row group {row_group} of {uri}; it has {len(table)} rows")
    return [_encoded_video(table, row) for row in rows]


def _read_row_group(uri: str, row_group: int) -> pa.RecordBatch:
    with storage.open_binary(uri) as file:
        try:
            # pre_buffer keeps whole column chunks beyond the read that asked for them.
            parquet = pq.ParquetFile(file, pre_buffer=False)
            if not 0 <= row_group < parquet.num_row_groups:
                raise ValueError(f"{uri} has {parquet.num_row_groups} row groups; row group {row_group} was asked")
            table = parquet.read_row_group(row_group, columns=list(READING_COLUMNS), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, ValueError) and not isinstance(error, pa.ArrowException):
                raise
            raise storage.StorageError(f"cannot read {uri}: {type(error).__name__}: {error}") from error
    return table.combine_chunks().to_batches()[0]


def _encoded_video(batch: pa.RecordBatch, row: int) -> EncodedVideo:
    def value(name: str) -> Any:
        return batch.column(name)[row]

    info = VideoInfo(
        video_index=value("video_index").as_py(),
        num_frames=value("num_frames").as_py(),
        frames_per_second=value("frames_per_second").as_py(),
        height=value("height").as_py(),
        width=value("width").as_py(),
    )
    index = PacketIndex(
        offset=value("packet_offset").values.to_numpy(),
        size=value("packet_size").values.to_numpy(),
        frame_index=value("packet_frame_index").values.to_numpy(),
        is_key=value("packet_is_key").values.to_numpy(zero_copy_only=False),
        is_disposable=value("packet_is_disposable").values.to_numpy(zero_copy_only=False),
        extradata=value("extradata").as_py(),
    )
    return EncodedVideo(
        info=info,
        video_id=value("video_id").as_py(),
        data=memoryview(value(VIDEO_COLUMN).as_buffer()),
        index=index,
    )
