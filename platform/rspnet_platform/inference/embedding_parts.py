"""Embeddings as Parquet files: which videos are in which, which are finished, and each written as a whole."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rspnet_platform import storage
from rspnet_platform.inference.video_parts import (
    REQUEST_KEY,
    is_in_order,
    num_unexplained,
    part_name,
    parts_of,
    vectors_column,
    write_part,
)
from rspnet_platform.shards.dataset import ShardedDataset, read_table
from rspnet_platform.stream.damage import DamageLedger

EMBEDDING = "embedding"


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
        return cls(
            output=output,
            dataset=dataset,
            members=parts_of(dataset, video_indices, num_videos_per_part),
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
        columns[EMBEDDING] = vectors_column(embeddings, self.feature_dim)
        write_part(self.uri(part), pa.table(columns, schema=self.schema))

    def _check_whole(self, part: int, video_indices: np.ndarray) -> None:
        expected = self.members[part]
        num_missing = num_unexplained(expected, video_indices, self.damage)
        if num_missing or not is_in_order(expected, video_indices):
            raise ValueError(
                f"{self.uri(part)} should hold {len(expected)} videos and has {len(video_indices)}; {num_missing} are "
                "missing and not damaged. Accepted is what this job writes: without that file it goes on"
            )
