"""Where rows lie in shards and row groups: pure arithmetic on their sizes, in their order."""

from dataclasses import dataclass

from rspnet_platform.shards.shard_config import ShardConfig


@dataclass(frozen=True, kw_only=True)
class RowPlace:
    """Where a video lies: the number of the shard, the row group in it, the row in that."""

    shard_index: int
    row_group: int
    row: int


def shard_name(shard_index: int) -> str:
    """shard-00000.parquet, shard-00001.parquet, ..."""
    return f"shard-{shard_index:05d}.parquet"


class ShardLayout:
    """Places one row after the other, from the beginning of shard `first_shard_index` on."""

    def __init__(self, first_shard_index: int, config: ShardConfig) -> None:
        self._config = config
        self._shard_index = first_shard_index
        self._row_group = self._num_rows = self._num_group_bytes = self._num_shard_bytes = 0

    @property
    def is_between_shards(self) -> bool:
        """True at the beginning and right after the row that filled a shard."""
        return not (self._row_group or self._num_rows)

    def add(self, num_bytes: int) -> RowPlace:
        """The place of the next row, whose video has `num_bytes`."""
        place = RowPlace(shard_index=self._shard_index, row_group=self._row_group, row=self._num_rows)
        self._num_rows += 1
        self._num_group_bytes += num_bytes
        self._num_shard_bytes += num_bytes
        if (
            self._num_group_bytes >= self._config.row_group_bytes
            or self._num_rows >= self._config.max_videos_per_row_group
        ):
            self._row_group, self._num_rows, self._num_group_bytes = self._row_group + 1, 0, 0
            if self._num_shard_bytes >= self._config.shard_bytes:
                self._shard_index, self._row_group, self._num_shard_bytes = self._shard_index + 1, 0, 0
        return place
