"""Writes one shard: rows gather into row groups, row groups into a local file, the whole file to its place."""

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.schema import SHARD_SCHEMA, parquet_options
from rspnet_platform.temporary_folder import temporary_folder


class ShardWriter:
    """`add` the rows of SHARD_SCHEMA in the order of their places, then `close`; `discard` leaves nothing behind.

    Nothing appears at `uri` before `close`, and then the whole file does. One row group is in memory at a time.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._rows: list[Mapping[str, Any]] = []
        self._row_group = 0
        descriptor, self._temporary_path = tempfile.mkstemp(suffix=".parquet", dir=temporary_folder())
        os.close(descriptor)
        self._writer = pq.ParquetWriter(self._temporary_path, SHARD_SCHEMA, **parquet_options())

    def add(self, row: Mapping[str, Any], row_group: int) -> None:
        """A row of the current row group, or the first of the next."""
        assert row_group in (self._row_group, self._row_group + 1)
        if row_group != self._row_group:
            self._write_row_group()
            self._row_group = row_group
        self._rows.append(row)

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
        self._rows = []
