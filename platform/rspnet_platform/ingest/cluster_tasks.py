"""The two Ray tasks of an ingest: transcode a chunk of videos, write a shard. They run in Ray's worker processes."""

import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from rspnet_platform import storage
from rspnet_platform.ingest.isolated_child import IsolatedChild, IsolationFailure
from rspnet_platform.ingest.one_video import TranscodingTask, refusal_of, run_task
from rspnet_platform.ingest.outcomes import Outcome, Pixels, shard_row, summary_of
from rspnet_platform.ingest.transcoding import TranscodedVideo
from rspnet_platform.shards.shard_writer import ShardWriter


@dataclass(frozen=True, kw_only=True)
class PlannedRow:
    """A row of a shard before its pixels are there: they are number `position` of chunk number `chunk_index`."""

    metadata: Mapping[str, Any]
    row_group: int
    encoded_sha256: str
    chunk_index: int
    position: int


@dataclass(frozen=True, kw_only=True)
class ChunkSummary:
    """One outcome a video, without pixels, and the node that has those."""

    outcomes: Sequence[Outcome]
    node_id: str


def transcode_chunk(
    tasks: Sequence[TranscodingTask], timeout_seconds: float, source_root: str
) -> tuple[ChunkSummary, list[Pixels | None]]:
    """(what the driver decides by, what stays in this node's object store), the latter one a task.

    One object for the pixels of a chunk: Ray sends returned objects of less than 100 kB to the driver, as a single
    small video is.
    """
    if not storage.is_remote(source_root) and not os.path.isdir(source_root):
        raise storage.StorageError(
            f"the source {source_root} is not there on the node {ray.util.get_node_ip_address()}; accepted: a source in"
            " an object store, or in a folder that all nodes share"
        )
    outcomes: list[Outcome] = []
    pixels: list[Pixels | None] = []
    for task in tasks:
        result = _child(timeout_seconds).call(task)
        if isinstance(result, TranscodedVideo):
            # An array, for Ray maps arrays and copies bytes.
            pixels.append(Pixels(data=np.frombuffer(result.data, np.uint8), index=result.index))
            outcomes.append(summary_of(result, pixels=None))
        else:
            pixels.append(None)
            outcomes.append(refusal_of(task, result) if isinstance(result, IsolationFailure) else result)
    return ChunkSummary(outcomes=outcomes, node_id=ray.get_runtime_context().get_node_id()), pixels


def write_shard(uri: str, rows: Sequence[PlannedRow], chunks: Sequence[Any]) -> str:
    """Puts the shard in its place and returns the node's address. `chunks` are references: one chunk and one row
    group are in memory at a time. Again, it writes the same bytes to the same place."""
    writer = ShardWriter(uri)
    chunk_index, chunk = -1, []
    try:
        for row in rows:
            if row.chunk_index != chunk_index:
                chunk_index, chunk = row.chunk_index, ray.get(chunks[row.chunk_index])
            writer.add(shard_row(row.metadata, _checked(row, chunk[row.position])), row.row_group)
        writer.close()
    finally:
        writer.discard()
    return ray.util.get_node_ip_address()


def _checked(row: PlannedRow, pixels: Pixels | None) -> Pixels:
    """A chunk that its node took along was made again, from files that may have changed since."""
    if pixels is None or hashlib.sha256(pixels.data).hexdigest() != row.encoded_sha256:
        raise storage.StorageError(
            f"{row.metadata['video_id']} did not come out as before when it was transcoded a second time, after a node"
            " was lost: its file has changed since. The same command goes on, with the file as it is now"
        )
    return pixels


@functools.cache
def _child(timeout_seconds: float) -> IsolatedChild:
    """One child process for as long as this worker lives: starting one takes half a second."""
    return IsolatedChild(run_task, timeout_seconds=timeout_seconds)
