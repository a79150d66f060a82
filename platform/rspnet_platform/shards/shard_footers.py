"""A shard's Parquet footer: where its row groups lie. Kept by each process, so that a row group costs one request."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.packet_reader import DamagedVideoError

MAX_FOOTERS_KEPT = 256
"""About 30 kB each."""

_FIRST_READ_BYTES = 64 * 1024
_TRAILER_BYTES = 8
_MAGIC = b"PAR1"
_footers: dict[str, "ShardFooter"] = {}


@dataclass(frozen=True, kw_only=True)
class ShardFooter:
    """`num_bytes`: of the whole shard."""

    uri: str
    num_bytes: int
    metadata: pq.FileMetaData

    def byte_range(self, row_group: int) -> tuple[int, int]:
        """First and past-the-last byte. DamagedVideoError for a row group that the shard does not have or hold."""
        if not 0 <= row_group < self.metadata.num_row_groups:
            raise DamagedVideoError(
                f"{self.uri} has {self.metadata.num_row_groups} row groups, and row group {row_group} was asked of it"
            )
        group = self.metadata.row_group(row_group)
        columns = [group.column(position) for position in range(group.num_columns)]
        starts = [column.dictionary_page_offset or column.data_page_offset for column in columns]
        start = min(starts, default=0)
        end = max((s + c.total_compressed_size for s, c in zip(starts, columns, strict=True)), default=0)
        if not 0 < start < end <= self.num_bytes:
            raise DamagedVideoError(
                f"row group {row_group} of {self.uri} would be its bytes {start} to {end}, and it has {self.num_bytes}"
            )
        return start, end


def shard_footer(uri: str, *, use_cache: bool = True) -> ShardFooter:
    """DamagedVideoError for a file that is missing from its data set or does not end as a shard does, StorageError when
    the store fails."""
    if use_cache and (footer := _footers.get(uri)) is not None:
        return footer
    _footers.pop(uri, None)
    footer = _read_footer(uri)
    while len(_footers) >= MAX_FOOTERS_KEPT:
        _footers.pop(next(iter(_footers)))
    _footers[uri] = footer
    return footer


def _read_footer(uri: str) -> ShardFooter:
    try:
        num_bytes = storage.num_bytes(uri)
    except FileNotFoundError as error:
        folder = uri.rsplit("/", 1)[0]
        if not storage.exists(folder):  # a disk that is not mounted, a bucket that is gone
            raise storage.StorageError(f"cannot read {uri}: {folder} is not there") from error
        raise DamagedVideoError(f"{uri} is missing") from error
    tail = _read_tail(uri, num_bytes, _FIRST_READ_BYTES)
    footer_bytes = int.from_bytes(tail[-_TRAILER_BYTES:-4], "little") + _TRAILER_BYTES
    if tail[-4:] != _MAGIC or footer_bytes > num_bytes:
        raise DamagedVideoError(f"{uri} does not end as a shard does: it is cut off or overwritten")
    if footer_bytes > len(tail):
        tail = _read_tail(uri, num_bytes, footer_bytes)
    try:
        return ShardFooter(uri=uri, num_bytes=num_bytes, metadata=pq.read_metadata(pa.BufferReader(tail)))
    except (pa.ArrowException, OSError) as error:
        raise DamagedVideoError(f"the footer of {uri} cannot be read: {error!r}") from error


def _read_tail(uri: str, num_file_bytes: int, num_bytes: int) -> bytes:
    start = max(0, num_file_bytes - num_bytes)
    return storage.read_range(uri, start, num_file_bytes - start)
