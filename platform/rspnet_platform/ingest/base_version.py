"""What an ingest adds to: nothing, or the newest version of a data set."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.one_video import PresentVideo
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.transcoding import codec_settings
from rspnet_platform.shards.dataset import open_dataset, read_descriptions, read_refusals
from rspnet_platform.shards.description import DatasetDescription
from rspnet_platform.shards.schema import VIDEOS_SCHEMA
from rspnet_platform.videos.refusal_reasons import RefusalReason


@dataclass(frozen=True)
class BaseVersion:
    """`version` is 0 when there is nothing yet. `videos` has the columns VIDEOS_SCHEMA."""

    version: int
    videos: pa.Table
    refusals: tuple[Refusal, ...]

    @property
    def num_shards(self) -> int:
        return len(pc.unique(self.videos["shard"]))  # pyright: ignore[reportAttributeAccessIssue]

    @cached_property
    def refused(self) -> frozenset[tuple[str, RefusalReason]]:
        """Path and reason of what is refused already: a source that is added again still has its broken files."""
        return frozenset((refusal.path, refusal.reason) for refusal in self.refusals)

    @cached_property
    def id_by_sha256(self) -> dict[str, str]:
        return dict(zip(self.videos["sha256"].to_pylist(), self.videos["video_id"].to_pylist(), strict=True))

    def present(self, video_id: str) -> PresentVideo | None:
        """The video that has this id."""
        row = self._row_by_id.get(video_id)
        if row is None:
            return None
        values = {name: self.videos[name][row].as_py() for name in ("sha256", "label", "split", "source")}
        return PresentVideo(**values)

    @cached_property
    def _row_by_id(self) -> dict[str, int]:
        return {video_id: row for row, video_id in enumerate(self.videos["video_id"].to_pylist())}


NOTHING = BaseVersion(0, VIDEOS_SCHEMA.empty_table(), ())


def open_base_version(output: str, config: IngestConfig) -> BaseVersion:
    """The newest version at `output`. ValueError when videos made with `config` would not be read like its own."""
    dataset = open_dataset(output)
    if differences := list(_differences(dataset.description, config)):
        raise ValueError(
            f"the data set {output} cannot be added to with these settings: {'; '.join(differences)};"
            " accepted: its own settings, or another output"
        )
    return BaseVersion(
        dataset.description.version,
        dataset.videos.select(VIDEOS_SCHEMA.names),
        stored_refusals(output, dataset.description.version),
    )


def find_finished_version(output: str, ingest_sha256: str) -> DatasetDescription | None:
    """The version that the command of this hash made, None when it made none yet."""
    return next((v for v in read_descriptions(output) if v.ingest_sha256 == ingest_sha256), None)


def stored_refusals(output: str, version: int) -> tuple[Refusal, ...]:
    """Those of a version and of the versions before it."""
    rows = read_refusals(output, version)
    return tuple(Refusal(**row | {"reason": RefusalReason(row["reason"])}) for row in rows)


def _differences(description: DatasetDescription, config: IngestConfig) -> Iterator[str]:
    """What a description records of the settings must be the same for all of its videos."""
    settings = {field.name for field in fields(description)} & {field.name for field in fields(config)}
    for name in sorted(settings):
        there, here = getattr(description, name), getattr(config, name)
        if there != here:
            yield f"{name} is {here!r}, its own is {there!r}"
    if dict(description.codec_settings) != codec_settings(config):
        yield f"codec_settings are {codec_settings(config)}, its own are {dict(description.codec_settings)}"
