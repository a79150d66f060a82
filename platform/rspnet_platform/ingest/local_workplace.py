"""An ingest on this machine alone: videos in child processes, shards by this process."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.isolated_child import IsolationFailure
from rspnet_platform.ingest.isolation import IsolatedMap
from rspnet_platform.ingest.one_video import TranscodingTask, refusal_of, run_task
from rspnet_platform.ingest.outcomes import Outcome, Pixels, TakenVideo, shard_row, summary_of
from rspnet_platform.ingest.transcoding import TranscodedVideo
from rspnet_platform.shards.shard_writer import ShardWriter


class LocalWorkplace:
    """A Workplace. Each child process has one video at a time."""

    def __init__(self, config: IngestConfig, num_videos: int) -> None:
        num_processes = min(config.num_processes or _num_cpus(), max(1, num_videos))
        self._isolated = IsolatedMap(run_task, num_processes=num_processes, timeout_seconds=config.timeout_seconds)

    def __enter__(self) -> "LocalWorkplace":
        return self

    def __exit__(self, *_: object) -> None:
        self._isolated.__exit__()

    def transcode(self, tasks: Iterable[TranscodingTask]) -> Iterator[Outcome]:
        tasks, arguments = itertools.tee(tasks)
        for task, result in zip(tasks, self._isolated.run(arguments), strict=True):
            if isinstance(result, IsolationFailure):
                yield refusal_of(task, result)
            elif isinstance(result, TranscodedVideo):
                yield summary_of(result, Pixels(data=result.data, index=result.index))
            else:
                yield result

    def open_shard(self, uri: str) -> "LocalShard":
        return LocalShard(uri)


class LocalShard:
    """An OpenShard. Rows go to disk as soon as their row group is full."""

    def __init__(self, uri: str) -> None:
        self._writer = ShardWriter(uri)

    def add(self, metadata: Mapping[str, Any], row_group: int, video: TakenVideo) -> None:
        self._writer.add(shard_row(metadata, video.pixels), row_group)

    def close(self) -> Future[None]:
        self._writer.close()
        written: Future[None] = Future()
        written.set_result(None)
        return written

    def discard(self) -> None:
        self._writer.discard()


def _num_cpus() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
