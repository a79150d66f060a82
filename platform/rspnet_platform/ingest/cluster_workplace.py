"""An ingest on a Ray cluster: chunks of videos and whole shards are Ray tasks, their bytes never pass the driver."""

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import ray
from ray.exceptions import ObjectLostError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from rspnet_platform import runtime, storage
from rspnet_platform.ingest.cluster_tasks import PlannedRow, transcode_chunk, write_shard
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.one_video import TranscodingTask
from rspnet_platform.ingest.outcomes import Outcome, TakenVideo

NUM_VIDEOS_PER_CHUNK = 8
NUM_CHUNKS_PER_CPU = 4
"""In flight: results are taken in order, and a slow video must not leave the other CPUs without work."""
MAX_RETRIES = 3
"""Of a task whose worker or node died. Ray's own default for a task that was killed for its memory is for ever."""


class ClusterFailureError(OSError):
    """The cluster did not finish a task, also after retries; the same command goes on from the last shard."""


class ClusterWorkplace:
    """A Workplace. Joins the cluster of the environment, or starts one of this machine alone."""

    def __init__(self, config: IngestConfig, source_root: str) -> None:
        self._config = config
        self._source_root = source_root
        self._transcode_chunk: Any = ray.remote(transcode_chunk).options(
            num_cpus=1, num_returns=2, max_retries=MAX_RETRIES
        )
        self._leave_cluster = lambda: None

    def __enter__(self) -> "ClusterWorkplace":
        if not ray.is_initialized():
            runtime.connect()
            self._leave_cluster = runtime.disconnect
        return self

    def __exit__(self, *_: object) -> None:
        self._leave_cluster()

    def transcode(self, tasks: Iterable[TranscodingTask]) -> Iterator[Outcome]:
        remaining = iter(tasks)
        in_flight: deque[tuple[Any, Any]] = deque()
        while True:
            for _ in range(self._num_chunks_wanted() - len(in_flight)):
                if chunk := list(islice(remaining, NUM_VIDEOS_PER_CHUNK)):
                    in_flight.append(
                        self._transcode_chunk.remote(chunk, self._config.timeout_seconds, self._source_root)
                    )
            if not in_flight:
                return
            summary_reference, chunk = in_flight.popleft()
            summary = _get(summary_reference)
            for position, outcome in enumerate(summary.outcomes):
                if isinstance(outcome, TakenVideo):
                    yield replace(outcome, pixels=ClusterPixels(chunk, position, summary.node_id))
                else:
                    yield outcome

    def open_shard(self, uri: str) -> "ClusterShard":
        return ClusterShard(uri)

    def _num_chunks_wanted(self) -> int:
        """Nodes come and go: a growing cluster has more in flight."""
        num_cpus = int(runtime.cluster_resources()[0])
        return self._config.num_processes or max(1, num_cpus * NUM_CHUNKS_PER_CPU)


class ClusterPixels(NamedTuple):
    """They are number `position` in the object that `chunk` refers to, which the node made."""

    chunk: Any
    position: int
    node_id: str


class ClusterShard:
    """An OpenShard. Until it is closed its rows stay in the object stores of the nodes that made them."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._rows: list[PlannedRow] = []
        self._chunks: list[Any] = []
        self._node_id = ""

    def add(self, metadata: Mapping[str, Any], row_group: int, video: TakenVideo) -> None:
        chunk, position, self._node_id = video.pixels
        if not self._chunks or self._chunks[-1] != chunk:
            self._chunks.append(chunk)
        self._rows.append(
            PlannedRow(
                metadata=metadata,
                row_group=row_group,
                encoded_sha256=video.encoded_sha256,
                chunk_index=len(self._chunks) - 1,
                position=position,
            )
        )

    def close(self) -> "ClusterShardWrite":
        """Written on one of the nodes that have its pixels, while that is alive.

        No CPU is reserved: a writer that waits for a chunk to be made again would keep the only CPU from making it.
        """
        write: Any = ray.remote(write_shard).options(
            num_cpus=0,
            max_retries=MAX_RETRIES,
            # A worker that asks for an object while its node dies may be told that it is lost, before it is made again.
            retry_exceptions=[ObjectLostError],
            scheduling_strategy=NodeAffinitySchedulingStrategy(self._node_id, soft=True),
        )
        return ClusterShardWrite(self._uri, write.remote(self._uri, self._rows, self._chunks), self._chunks)

    def discard(self) -> None:
        self._rows, self._chunks = [], []


class ClusterShardWrite:
    """A ShardWrite. It holds on to the chunks, so that they are made again when a node takes them along."""

    def __init__(self, uri: str, reference: Any, chunks: list[Any]) -> None:
        self._uri = uri
        self._reference = reference
        self._chunks = chunks

    def done(self) -> bool:
        return bool(ray.wait([self._reference], timeout=0)[0])

    def result(self) -> None:
        node = _get(self._reference)
        if not storage.exists(self._uri):
            raise storage.StorageError(
                f"{self._uri} was written on the node {node} and is not there on this one; accepted: an output in an"
                " object store, or in a folder that all nodes share"
            )


def _get(reference: Any) -> Any:
    with _plain_errors():
        return ray.get(reference)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    """What a user can mend comes as the error that it was in the task, without the traceback of the worker."""
    try:
        yield
    except RayTaskError as error:
        cause: BaseException = error
        while isinstance(cause, RayTaskError) and isinstance(cause.cause, BaseException):
            cause = cause.cause
        if isinstance(cause, OSError | ValueError):
            raise cause from None
        if not isinstance(cause, RayError) or isinstance(cause, RayTaskError):
            raise
        raise ClusterFailureError(f"a Ray task failed: {type(cause).__name__}: {cause}") from error
    except RayError as error:
        raise ClusterFailureError(
            f"a Ray task failed {MAX_RETRIES + 1} times: {type(error).__name__}: {error}"
        ) from error
