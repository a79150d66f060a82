"""The settings that tests of ingests on Ray share: several shards of several chunks."""

from pathlib import Path
from typing import Any

from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.shards.shard_config import ShardConfig


def cluster_config(source: Path | str, output: Path | str, **changes) -> IngestConfig:
    shards = ShardConfig(max_videos_per_row_group=4, shard_bytes=500_000)
    settings: dict[str, Any] = {"shards": shards, "max_refused_fraction": 0.5}
    return IngestConfig(source=str(source), output=str(output), **settings | changes)
