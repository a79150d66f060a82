"""Embeddings as Parquet files: which videos are in which, which are finished, and each written as a whole."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.shards.dataset import ShardedDataset, read_table
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import ExecutionSamples, VideoLocations
from rspnet_platform.stream.whole_dataset import MAX_VIDEOS_PER_SHARE

REQUEST_KEY = b"request_sha256"
EMBEDDING = "embedding"
Batch = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class EmbeddingParts:
    """`members` are the video indices of each part, in the order of the shards: as they are read."""

    output: str
    dataset: ShardedDataset
    members: tuple[np.ndarray, ...]
    feature_dim: int
    request_sha256: str
    damage: DamageLedger

    @classmethod
    def plan(
        cls,
        output: str,
        dataset: ShardedDataset,
        video_indices: np.ndarray,
        *,
        num_videos_per_part: int,
        feature_dim: int,
        request_sha256: str,
    ) -> "EmbeddingParts":
        in_order = np.concatenate(VideoLocations.from_dataset(dataset).by_row_group(video_indices))
        return cls(
            output=output,
            dataset=dataset,
            members=tuple(np.split(in_order, range(num_videos_per_part, len(in_order), num_videos_per_part))),
            feature_dim=feature_dim,
            request_sha256=request_sha256,
            damage=DamageLedger(uri=storage.join(output, "damaged_videos")),
        )

    @property
    def schema(self) -> pa.Schema:
        fields = [
            pa.field("video_index", pa.int64(), nullable=False),
            pa.field("video_id", pa.string(), nullable=False),
            pa.field("label", pa.string()),
            pa.field("split", pa.string()),
            pa.field(EMBEDDING, pa.list_(pa.float32(), self.feature_dim), nullable=False),
        ]
        return pa.schema(fields, metadata={REQUEST_KEY: self.request_sha256.encode()})

    def uri(self, part: int) -> str:
        return storage.join(self.output, part_name(part))

    def unfinished(self) -> list[int]:
        """Raises ValueError for a part of something else, or one that lacks videos."""
        names = set(storage.list_names(self.output))
        there = [part for part in range(len(self.members)) if part_name(part) in names]
        for part in there:
            self.embedded_in(part)
        return sorted(set(range(len(self.members))) - set(there))

    def embedded_in(self, part: int) -> np.ndarray:
        """Video indices of a finished part, in order; with the errors of `unfinished`."""
        table = read_table(self.uri(part))
        if (table.schema.metadata or {}).get(REQUEST_KEY) != self.request_sha256.encode():
            raise ValueError(f"{self.uri(part)} is of other embeddings; accepted is another --output")
        video_indices = table["video_index"].to_numpy()
        self._check_whole(part, video_indices)
        return video_indices

    def write(self, part: int, video_indices: np.ndarray, embeddings: np.ndarray) -> None:
        """`embeddings`: float32 [num_videos, feature_dim]. Whole or not at all. Raises ValueError where videos are
        missing that are not known to be damaged."""
        self._check_whole(part, video_indices)
        videos = self.dataset.videos.sort_by("video_index").take(video_indices)
        columns = {name: videos[name] for name in ("video_index", "video_id", "label", "split")}
        values = pa.array(np.ascontiguousarray(embeddings, np.float32).reshape(-1))
        columns[EMBEDDING] = pa.FixedSizeListArray.from_arrays(values, self.feature_dim)
        with io.BytesIO() as buffer:
            pq.write_table(pa.table(columns, schema=self.schema), buffer)
            storage.write_bytes(self.uri(part), buffer.getvalue())

    def _check_whole(self, part: int, video_indices: np.ndarray) -> None:
        expected = self.members[part]
        is_there = np.isin(expected, video_indices)
        missing = set(expected[~is_there].tolist())
        if missing:
            missing -= {entry["video_index"] for entry in self.damage.entries()}
        if missing or not np.array_equal(expected[is_there], video_indices):
            raise ValueError(
                f"{self.uri(part)} should hold {len(expected)} videos and has {len(video_indices)}; {len(missing)} are "
                "missing and not damaged. Accepted is what this job writes: without that file it goes on"
            )


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
    batches: Iterable[Batch], parts: Sequence[int], members: Sequence[np.ndarray], column: str
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each of `parts`, once all before and in it has come: its number, video indices and rows of `column`.

    `batches` come in the order of `members`, less what is damaged; a part may be left without any row.
    """
    part_of = {video: part for part, videos in zip(parts, members, strict=True) for video in videos.tolist()}
    numbers = iter(parts)
    part = next(numbers)
    rows: list[tuple[int, np.ndarray]] = []
    for batch in batches:
        for video, row in zip(batch["video_index"].tolist(), batch[column], strict=True):
            while part != part_of[video]:
                assert part < part_of[video], "rows came in another order than planned"
                yield part, *_stacked(rows)
                part, rows = next(numbers), []
            rows.append((video, row))
    yield part, *_stacked(rows)
    for part in numbers:
        yield part, *_stacked([])


def _stacked(rows: list[tuple[int, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    videos = np.array([video for video, _ in rows], dtype=np.int64)
    return videos, np.stack([row for _, row in rows]) if rows else np.zeros((0, 0), np.float32)
