"""Writes shards: rows gather into row groups, row groups into a local file, the whole file to its place."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.schema import SHARD_SCHEMA, VIDEO_COLUMN, parquet_options
from rspnet_platform.shards.shard_config import ShardConfig


@dataclass(frozen=True, kw_only=True)
class RowPlace:
    """Where a video lies: the shard's file name, the row group in it, the row in that."""

    shard: str
    row_group: int
    row: int


def shard_name(shard_index: int) -> str:
    """shard-00000.parquet, shard-00001.parquet, ..."""
    return f"shard-{shard_index:05d}.parquet"


class ShardWriter:
    """One shard. `add` rows until `is_full`, then `close`; `discard` instead leaves nothing behind.

    Nothing appears below `folder_uri` before `close`, and then the whole file does.
    """

    def __init__(self, folder_uri: str, shard_index: int, config: ShardConfig) -> None:
        self.name = shard_name(shard_index)
        self._uri = storage.join(folder_uri, self.name)
        self._config = config
        self._rows: list[Mapping[str, Any]] = []
        self._num_pending_bytes = 0
        self._num_written_bytes = 0
        self._num_row_groups = 0
        descriptor, self._temporary_path = tempfile.mkstemp(prefix="rspnet-", suffix=".parquet")
        os.close(descriptor)
        self._writer = pq.ParquetWriter(self._temporary_path, SHARD_SCHEMA, **parquet_options())

    @property
    def is_full(self) -> bool:
        """True right after the row group that filled the shard; only then are no rows pending."""
        return self._num_written_bytes >= self._config.shard_bytes and not self._rows

    def add(self, row: Mapping[str, Any]) -> RowPlace:
        """Adds a row of SHARD_SCHEMA and says where it lies."""
        self._rows.append(row)
        self._num_pending_bytes += len(row[VIDEO_COLUMN])
        place = RowPlace(shard=self.name, row_group=self._num_row_groups, row=len(self._rows) - 1)
        if (
            self._num_pending_bytes >= self._config.row_group_bytes
            or len(self._rows) >= self._config.max_videos_per_row_group
        ):
            self._write_row_group()
        return place

    def close(self) -> None:
        """Writes what is pending and puts the file in its place. StorageError when that fails."""
        try:
            if self._rows:
                self._write_row_group()
            self._writer.close()
            storage.upload_file(self._temporary_path, self._uri)
        finally:
            self.discard()

    def discard(self) -> None:
        """Deletes the temporary file; harmless after `close`."""
        self._writer.close()
        if os.path.exists(self._temporary_path):
            os.unlink(self._temporary_path)

    def _write_row_group(self) -> None:
        columns = [pa.array([row[field.name] for row in self._rows], field.type) for field in SHARD_SCHEMA]
        table = pa.Table.from_arrays(columns, schema=SHARD_SCHEMA)
        self._writer.write_table(table, row_group_size=len(self._rows))
        self._num_written_bytes += self._num_pending_bytes
        self._num_row_groups += 1
        self._rows, self._num_pending_bytes = [], 0
