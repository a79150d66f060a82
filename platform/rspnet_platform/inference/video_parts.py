"""Videos in parts, of which each is finished as a whole: which are in which, how they are read, what is in a file."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import ExecutionSamples, VideoLocations
from rspnet_platform.stream.whole_dataset import MAX_VIDEOS_PER_SHARE

REQUEST_KEY = b"request_sha256"
"""In a file's metadata: what it is a part of."""

VIDEO_INDEX = "video_index"
Batch = Mapping[str, np.ndarray]


def parts_of(dataset: ShardedDataset, video_indices: np.ndarray, num_videos_per_part: int) -> tuple[np.ndarray, ...]:
    """The video indices of each part, in the order of the shards: as they are read."""
    in_order = np.concatenate(VideoLocations.from_dataset(dataset).by_row_group(video_indices))
    return tuple(np.split(in_order, range(num_videos_per_part, len(in_order), num_videos_per_part)))


@dataclass(frozen=True, kw_only=True)
class PartsLeft:
    """A plan for `ClipSource`: the videos of some parts, each once. A read task has to do with one part alone."""

    dataset_uri: str
    locations: VideoLocations
    members: Sequence[np.ndarray]
    num_rows_per_block: int

    @property
    def num_samples_left(self) -> int:
        return sum(map(len, self.members))

    def execution(self, index: int) -> ExecutionSamples:  # noqa: ARG002
        share_size = max(1, MAX_VIDEOS_PER_SHARE // self.num_rows_per_block) * self.num_rows_per_block
        shares = [
            part[first : first + share_size] for part in self.members for first in range(0, len(part), share_size)
        ]
        in_order = np.concatenate(shares)
        return ExecutionSamples(
            epochs=np.zeros_like(in_order),
            video_indices=in_order,
            share_ends=np.cumsum([len(share) for share in shares]),
            num_samples_per_visit=1,
        )


def part_name(part: int) -> str:
    """part-00000.parquet, part-00001.parquet, ..."""
    return f"part-{part:05d}.parquet"


def in_parts(
    batches: Iterable[Batch], parts: Sequence[int], members: Sequence[np.ndarray]
) -> Iterator[tuple[int, Batch]]:
    """The number of each of `parts` and its rows, once all before and in it have come.

    `batches` come in the order of `members`, less what is damaged; a part may be left without any row, and then has
    the column `video_index` alone.
    """
    part_of = {video: part for part, videos in zip(parts, members, strict=True) for video in videos.tolist()}
    numbers = iter(parts)
    part = next(numbers)
    rows: list[Batch] = []
    for batch in batches:
        for place, video in enumerate(batch[VIDEO_INDEX].tolist()):
            while part != part_of[video]:
                assert part < part_of[video], "rows came in another order than planned"
                yield part, _stacked(rows)
                part, rows = next(numbers), []
            rows.append({name: values[place] for name, values in batch.items()})
    yield part, _stacked(rows)
    for part in numbers:
        yield part, _stacked([])


def _stacked(rows: Sequence[Batch]) -> Batch:
    if not rows:
        return {VIDEO_INDEX: np.zeros(0, np.int64)}
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def is_in_order(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether the videos `found` are some of those of a part, each once and in its order."""
    return np.array_equal(expected[np.isin(expected, found)], found)


def num_unexplained(expected: np.ndarray, found: np.ndarray, damage: DamageLedger) -> int:
    """How many of a part's videos are missing and not known to be damaged."""
    missing = set(np.setdiff1d(expected, found).tolist())
    if missing:
        missing -= {entry["video_index"] for entry in damage.entries()}
    return len(missing)


def vectors_column(vectors: np.ndarray, num_numbers: int) -> pa.Array:
    """Of float32 [num_videos, num_numbers]."""
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1)), num_numbers
    )


def write_part(uri: str, table: pa.Table) -> None:
    """Whole or not at all; equal tables become equal bytes."""
    with io.BytesIO() as buffer:
        pq.write_table(table, buffer)
        storage.write_bytes(uri, buffer.getvalue())
