"""Where an ingest transcodes videos and writes shards: on this machine or on a Ray cluster."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.one_video import TranscodingTask
from rspnet_platform.ingest.outcomes import Outcome, TakenVideo


class ShardWrite(Protocol):
    """A shard on its way to its place."""

    def done(self) -> bool: ...

    def result(self) -> None:
        """Returns when the shard is in its place. StorageError when it cannot get there."""
        ...


class OpenShard(Protocol):
    """A shard that is being filled, in the order of its rows."""

    def add(self, metadata: Mapping[str, Any], row_group: int, video: TakenVideo) -> None:
        """`metadata` has the columns METADATA_FIELDS."""
        ...

    def close(self) -> ShardWrite: ...

    def discard(self) -> None:
        """Leaves nothing behind; harmless after `close`."""
        ...


class Workplace(Protocol):
    """What comes out does not depend on which one it is."""

    def transcode(self, tasks: Iterable[TranscodingTask]) -> Iterator[Outcome]:
        """One outcome a task, in their order. So many tasks are drawn ahead as keep the workplace busy."""
        ...

    def open_shard(self, uri: str) -> OpenShard: ...


def open_workplace(config: IngestConfig, source_root: str, num_videos: int) -> AbstractContextManager[Workplace]:
    """The one that `config.run_on` names. `source_root` is the folder that all videos lie below."""
    if config.run_on == "ray" or (config.run_on == "auto" and os.environ.get("RAY_ADDRESS")):
        from rspnet_platform.ingest.cluster_workplace import ClusterWorkplace  # Ray takes seconds to import

        return ClusterWorkplace(config, source_root)
    from rspnet_platform.ingest.local_workplace import LocalWorkplace

    return LocalWorkplace(config, num_videos)
