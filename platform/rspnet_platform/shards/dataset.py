"""Opening a data set: the description of one of its versions, that version's table of videos, its refusals."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.description import DESCRIPTION_NAME, DatasetDescription, description_uri
from rspnet_platform.shards.schema import INPUT_FIELDS, VIDEOS_SCHEMA


@dataclass(frozen=True, kw_only=True)
class ShardedDataset:
    """An opened data set. `videos` has one row a video, in the order of `video_index` (see VIDEOS_SCHEMA)."""

    uri: str
    description: DatasetDescription
    videos: pa.Table


def open_dataset(uri: str, version: int | None = None) -> ShardedDataset:
    """Reads the description and the table of videos of a version, the newest by default; not the videos.

    What it returns stays readable when later versions are added: shards are never rewritten.
    ValueError when there is no data set at `uri`, it has no such version, or an unknown schema version; StorageError
    when the store fails.
    """
    uri = storage.resolve_uri(uri)
    description = read_description(uri, version)
    videos_uri = storage.join(uri, description.videos_file)
    videos = with_later_columns(read_table(videos_uri))
    if len(videos) != description.num_videos or not set(VIDEOS_SCHEMA.names) <= set(videos.column_names):
        raise ValueError(
            f"{videos_uri} holds {len(videos)} videos with columns {videos.column_names};"
            f" {DESCRIPTION_NAME} promises {description.num_videos} with {VIDEOS_SCHEMA.names}"
        )
    return ShardedDataset(uri=uri, description=description, videos=videos)


def with_later_columns(videos: pa.Table) -> pa.Table:
    """Facts that an older version did not record are null."""
    for field in INPUT_FIELDS:
        if field.nullable and field.name not in videos.column_names:
            videos = videos.append_column(field, pa.nulls(len(videos), field.type))
    return videos


def read_description(uri: str, version: int | None = None) -> DatasetDescription:
    """What `open_dataset` reads first, with its errors."""
    uri = storage.resolve_uri(uri)
    newest_uri = storage.join(uri, DESCRIPTION_NAME)
    try:
        value = storage.read_json(newest_uri)
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(
            f"{uri} is not a data set: no {DESCRIPTION_NAME}; make one with"
            " python jobs/ingest.py --source ... --output ..."
        ) from None
    newest = DatasetDescription.from_json(value, newest_uri)
    if version is None or version == newest.version:
        return newest
    # A later one may lie there already when its ingest was interrupted right before the end.
    if not 1 <= version <= newest.version:
        raise ValueError(f"{uri} has no version {version}; accepted: 1 to {newest.version}")
    return DatasetDescription.from_json(storage.read_json(description_uri(uri, version)), description_uri(uri, version))


def read_descriptions(uri: str) -> Iterator[DatasetDescription]:
    """Those of all versions, the newest first."""
    newest = read_description(uri)
    yield newest
    for version in range(newest.version - 1, 0, -1):
        yield read_description(uri, version)


def find_version(uri: str, manifest_sha256: str) -> int | None:
    """The newest version that holds exactly the videos that `manifest_sha256` stands for."""
    return next((v.version for v in read_descriptions(uri) if v.manifest_sha256 == manifest_sha256), None)


def read_refusals(dataset_uri: str, version: int | None = None) -> list[dict[str, Any]]:
    """What the ingests of a version and of those before it refused: path, reason and detail of each."""
    description = read_description(dataset_uri, version)
    return read_table(storage.join(storage.resolve_uri(dataset_uri), description.refusals_file)).to_pylist()


def read_table(uri: str) -> pa.Table:
    """A whole small Parquet file. StorageError when it is not Parquet."""
    data = storage.read_bytes(uri)
    try:
        return pq.read_table(pa.BufferReader(data))
    except pa.ArrowException as error:
        raise storage.StorageError(f"{uri} is not a readable Parquet file: {error}") from error
