"""Reading videos out of shards: one ranged read a row group, and a check of every row before it is decoded."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform import storage
from rspnet_platform.shards.checksum import row_checksum
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.schema import READING_COLUMNS, SHARD_SCHEMA, VIDEO_COLUMN
from rspnet_platform.shards.shard_footers import ShardFooter, shard_footer


@dataclass(frozen=True, kw_only=True)
class EncodedVideo:
    """One row of a shard, ready for `read_frames(video.data, video.index, wanted)`.

    `data` is a view of the row group's Arrow buffer: it keeps the buffer alive and copies nothing.
    """

    info: VideoInfo
    video_id: str
    data: bytes | memoryview
    index: PacketIndex


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """A row group in memory; `place` names it in messages."""

    place: str
    batch: pa.RecordBatch

    def video(self, row: int) -> EncodedVideo:
        """DamagedVideoError for a row that is not as it was written, which the other rows do not suffer from, and for
        one that the row group does not have."""
        if not 0 <= row < len(self.batch):
            raise DamagedVideoError(f"{self.place} has {len(self.batch)} rows, and row {row} was asked of it")
        try:
            values = {name: self.batch.column(name)[row] for name in READING_COLUMNS}
            video = _encoded_video(values)
            checksum = row_checksum(video.info, video.data, video.index)
        except (pa.ArrowException, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise DamagedVideoError(f"row {row} of {self.place} cannot be read: {error!r}") from error
        if checksum != values["checksum"].as_py():
            raise DamagedVideoError(f"row {row} of {self.place} is not what was written: its checksum differs")
        return video


def read_row_group(dataset_uri: str, shard: str, row_group: int) -> RowGroup:
    """One row group of the shard file named `shard`.

    It is read as a whole, which is one contiguous range: a store answers one long request faster than many short
    ones, and what goes wrong before all bytes are here is the store's fault (StorageError), after that the bytes'
    (DamagedVideoError).
    """
    uri = storage.join(dataset_uri, shard)
    place = f"row group {row_group} of {uri}"
    try:
        return RowGroup(place=place, batch=_parse(uri, row_group, shard_footer(uri)))
    except DamagedVideoError:
        # What this process remembers of the shard may be wrong: a data set may be made anew at the place of another.
        return RowGroup(place=place, batch=_parse(uri, row_group, shard_footer(uri, use_cache=False)))


def read_videos(dataset_uri: str, shard: str, row_group: int, rows: Sequence[int]) -> list[EncodedVideo]:
    """The videos at `rows` of one row group, in the order asked. DamagedVideoError if any of them is damaged."""
    group = read_row_group(dataset_uri, shard, row_group)
    return [group.video(row) for row in rows]


def _parse(uri: str, row_group: int, footer: ShardFooter) -> pa.RecordBatch:
    start, end = footer.byte_range(row_group)
    try:
        data = storage.read_range(uri, start, end - start)
    except FileNotFoundError as error:
        raise DamagedVideoError(f"{uri} is missing") from error
    try:
        # pre_buffer keeps whole column chunks beyond the read that asked for them.
        file: Any = _FetchedRange(data, start, footer.num_bytes)
        parquet = pq.ParquetFile(file, metadata=footer.metadata, pre_buffer=False)
        table = parquet.read_row_group(row_group, columns=list(READING_COLUMNS), use_threads=False)
        wanted = pa.schema([SHARD_SCHEMA.field(name) for name in READING_COLUMNS])
        if table.schema.remove_metadata() != wanted:
            raise ValueError(f"its columns are {table.schema.to_string()}")
        return table.combine_chunks().to_batches()[0]
    except (pa.ArrowException, OSError, ValueError, IndexError) as error:
        raise DamagedVideoError(f"row group {row_group} of {uri} cannot be read: {error!r}") from error


def _encoded_video(values: dict[str, Any]) -> EncodedVideo:
    info = VideoInfo(
        video_index=values["video_index"].as_py(),
        num_frames=values["num_frames"].as_py(),
        frames_per_second=values["frames_per_second"].as_py(),
        height=values["height"].as_py(),
        width=values["width"].as_py(),
    )
    index = PacketIndex(
        offset=values["packet_offset"].values.to_numpy(),
        size=values["packet_size"].values.to_numpy(),
        frame_index=values["packet_frame_index"].values.to_numpy(),
        is_key=values["packet_is_key"].values.to_numpy(zero_copy_only=False),
        is_disposable=values["packet_is_disposable"].values.to_numpy(zero_copy_only=False),
        extradata=values["extradata"].as_py(),
    )
    return EncodedVideo(
        info=info,
        video_id=values["video_id"].as_py(),
        data=memoryview(values[VIDEO_COLUMN].as_buffer()),
        index=index,
    )


class _FetchedRange(io.RawIOBase):
    """A file of which one range is here. Arrow is handed views of it, no copies; beyond it OSError."""

    def __init__(self, data: bytes, start: int, num_bytes: int) -> None:
        self._data, self._start, self._num_bytes = memoryview(data), start, num_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._num_bytes}[whence]
        self._position = base + offset
        return self._position

    def read(self, size: int = -1) -> memoryview:  # pyright: ignore[reportIncompatibleMethodOverride]
        first = self._position - self._start
        if not 0 <= first <= first + size <= len(self._data):
            raise OSError(f"{size} bytes at {self._position} lie outside of the row group")
        self._position += size
        return self._data[first : first + size]
