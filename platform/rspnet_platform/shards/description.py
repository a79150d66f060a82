"""`dataset.json` and its earlier versions: what a data set says of itself."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from rspnet_platform import storage
from rspnet_platform.shards.schema import SCHEMA_VERSION

DESCRIPTION_NAME = "dataset.json"
VIDEOS_NAME = "videos.parquet"
REFUSALS_NAME = "refusals.parquet"


def versioned_name(name: str, version: int) -> str:
    """`videos.parquet` of version 1, `videos-00002.parquet` of version 2, ...: no version overwrites another's."""
    stem, extension = name.rsplit(".", 1)
    return name if version == 1 else f"{stem}-{version:05d}.{extension}"


def description_uri(dataset_uri: str, version: int) -> str:
    """Where the description of a version stays when later ones have been added."""
    return storage.join(dataset_uri, "versions", f"dataset-{version:05d}.json")


@dataclass(frozen=True, kw_only=True)
class DatasetDescription:
    """`dataset.json` describes the newest version. It is written last: a folder without it is not a data set.

    `test_fraction` and `split_seed` are of a split that the ingest drew, None where the source has its own or none.
    `frames_per_second` is the rate that all videos were brought to, None where each kept its own.
    `manifest_sha256` is the identity of this version (metadata and pixels of every video, in order);
    `ingest_sha256` that of the command that made it (listing of the source and settings). The numbers are of all
    videos, also of the versions before; `num_already_present` counts what the command that made this version listed
    and the version before had.
    """

    schema_version: int
    profile: str
    short_side: int
    num_videos: int
    num_frames: int
    num_refused: int
    class_names: tuple[str, ...]
    splits: Mapping[str, int]
    manifest_sha256: str
    ingest_sha256: str
    decoder: str
    encoder: str
    codec_settings: Mapping[str, str]
    created_by: str
    frames_per_second: float | None = None
    version: int = 1
    videos_file: str = VIDEOS_NAME
    refusals_file: str = REFUSALS_NAME
    num_already_present: int = 0
    test_fraction: float | None = None
    split_seed: int | None = None

    def __post_init__(self) -> None:
        if self.version < 1:
            raise ValueError(f"version is {self.version}; accepted: 1 or more")
        for name in (self.videos_file, self.refusals_file):
            if "/" in name or not name.endswith(".parquet"):
                raise ValueError(f"the table {name!r} is named; accepted: a Parquet file in the data set's own folder")

    def to_json(self) -> dict[str, Any]:
        """A value that `from_json` takes back."""
        return asdict(self) | {"class_names": list(self.class_names), "splits": dict(self.splits)}

    @classmethod
    def from_json(cls, value: Any, uri: str) -> "DatasetDescription":
        """ValueError, naming `uri`, for an unknown schema version or missing keys; other keys are ignored."""
        version = value.get("schema_version") if isinstance(value, dict) else None
        if version != SCHEMA_VERSION:
            raise ValueError(f"{uri} has schema version {version!r}; accepted: {SCHEMA_VERSION}")
        required = [field.name for field in fields(cls) if field.default is MISSING]
        if missing := [name for name in required if name not in value]:
            raise ValueError(f"{uri} lacks {', '.join(missing)}")
        known: dict[str, Any] = {field.name: value[field.name] for field in fields(cls) if field.name in value}
        known["class_names"] = tuple(known["class_names"])
        return cls(**known)
