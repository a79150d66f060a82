"""Features that stay on storage until the numbers are there that they were asked for: what a killed evaluation had
finished is not computed again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.inference.video_parts import (
    REQUEST_KEY,
    VIDEO_INDEX,
    Batch,
    is_in_order,
    num_unexplained,
    part_name,
    vectors_column,
    write_part,
)
from rspnet_platform.shards.dataset import read_table
from rspnet_platform.stream.damage import DamageLedger


@dataclass(frozen=True, kw_only=True)
class KeptFeatures:
    """A folder with a folder a pass, of Parquet files of at most `num_videos_per_part` videos. `request_sha256` is of
    all that decides the features.

    A file that is of something else, or lacks a video that is not listed as damaged, is computed again.
    """

    uri: str
    request_sha256: str
    num_videos_per_part: int

    @property
    def damage(self) -> DamageLedger:
        return DamageLedger(uri=storage.join(self.uri, "damaged_videos"))

    def read(self, pass_name: str, members: Sequence[np.ndarray]) -> dict[int, Batch]:
        """The finished ones of a pass's parts, by number: `video_index` and a column for each kind of features."""
        there = set(storage.list_names(storage.join(self.uri, pass_name)))
        found = {}
        for part, expected in enumerate(members):
            if part_name(part) in there and (rows := self._read_part(pass_name, part, expected)) is not None:
                found[part] = rows
        return found

    def write(self, pass_name: str, part: int, rows: Batch) -> None:
        """Whole or not at all."""
        columns: dict[str, pa.Array] = {VIDEO_INDEX: pa.array(rows[VIDEO_INDEX], pa.int64())}
        for name in rows.keys() - {VIDEO_INDEX}:
            assert rows[name].dtype == np.float32, "other numbers would not come back as they were"
            columns[name] = vectors_column(rows[name], rows[name].shape[1])
        table = pa.table(columns).replace_schema_metadata(self._metadata(pass_name, part))
        write_part(self._part_uri(pass_name, part), table)

    def read_damaged_again(self) -> None:
        """Forgets which videos are damaged: somebody may mend them before the same is asked again."""
        storage.delete_folder(self.damage.uri)

    def delete(self) -> None:
        storage.delete_folder(self.uri)

    def _part_uri(self, pass_name: str, part: int) -> str:
        return storage.join(self.uri, pass_name, part_name(part))

    def _metadata(self, pass_name: str, part: int) -> dict[bytes, bytes]:
        return {REQUEST_KEY: f"{self.request_sha256} {pass_name} {part}".encode()}

    def _read_part(self, pass_name: str, part: int, expected: np.ndarray) -> Batch | None:
        uri = self._part_uri(pass_name, part)
        try:
            table = read_table(uri)
        except OSError as error:  # a fault of a disk, or another process that ends the same evaluation now
            say(f"these features are computed again: {error}")
            return None
        if table.schema.metadata != self._metadata(pass_name, part):
            say(f"{uri} is of other features and is not used")
            return None
        video_indices = table[VIDEO_INDEX].to_numpy()
        if num_unexplained(expected, video_indices, self.damage) or not is_in_order(expected, video_indices):
            return None
        return rows_of(table)


def rows_of(table: pa.Table) -> Mapping[str, np.ndarray]:
    """float32 [num_videos, numbers] for each column of vectors."""
    rows = {VIDEO_INDEX: table[VIDEO_INDEX].to_numpy()}
    for name in table.column_names:
        if name != VIDEO_INDEX:
            vectors = table[name].combine_chunks()
            rows[name] = vectors.flatten().to_numpy().reshape(len(vectors), vectors.type.list_size)
    return rows
