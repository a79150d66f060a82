"""How large shards and row groups are; apart from the writer, so that `--help` loads no Parquet."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ShardConfig:
    """A row group closes at `row_group_bytes` or `max_videos_per_row_group`, a shard at `shard_bytes`."""

    row_group_bytes: int = 16 * 1024 * 1024
    max_videos_per_row_group: int = 64
    shard_bytes: int = 256 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("row_group_bytes", "max_videos_per_row_group", "shard_bytes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted: 1 or more")
