"""The identity of a data set and of the command that made it, and the files that make it one."""

import dataclasses
import hashlib
import importlib.metadata
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.sources import SourceListing
from rspnet_platform.ingest.transcoding import CODEC_SETTINGS, library_versions
from rspnet_platform.shards.dataset import DESCRIPTION_NAME, VIDEOS_NAME, DatasetDescription
from rspnet_platform.shards.schema import METADATA_COLUMNS, SCHEMA_VERSION, VIDEOS_SCHEMA

# They change how an ingest runs, not what comes out of it.
_RUNNING_FIELDS = (
    "source",
    "source_root",
    "layout",
    "annotations",
    "split_number",
    "output",
    "max_refused_fraction",
    "timeout_seconds",
    "num_processes",
)


def hash_command(config: IngestConfig, listing: SourceListing) -> str:
    """Equal for commands that would make the same data set of the same list of files."""
    settings = dataclasses.asdict(config)
    for name in _RUNNING_FIELDS:
        del settings[name]
    entries = [[v.video_id, v.label, v.split, v.source] for v in listing.videos]
    refused = [refusal.path for refusal in listing.refusals]
    value = [SCHEMA_VERSION, CODEC_SETTINGS, settings, listing.root, entries, refused]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def hash_videos(videos: Sequence[Mapping[str, Any]]) -> str:
    """The data set's identity: metadata and pixels of every video, in order, however they lie in shards."""
    digest = hashlib.sha256()
    for video in videos:
        entry = [video[name] for name in (*METADATA_COLUMNS, "encoded_sha256")]
        digest.update(json.dumps(entry).encode() + b"\n")
    return digest.hexdigest()


def write_dataset_files(
    output: str,
    config: IngestConfig,
    videos: Sequence[Mapping[str, Any]],
    *,
    num_refused: int,
    ingest_sha256: str,
) -> DatasetDescription:
    """Writes `videos.parquet`, and `dataset.json` last: from then on the folder is a data set."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(videos), VIDEOS_SCHEMA), sink, compression="zstd")
    storage.write_bytes(storage.join(output, VIDEOS_NAME), sink.getvalue().to_pybytes())
    decoder, encoder = library_versions()
    description = DatasetDescription(
        schema_version=SCHEMA_VERSION,
        profile=config.profile,
        short_side=config.short_side,
        num_videos=len(videos),
        num_frames=sum(video["num_frames"] for video in videos),
        num_refused=num_refused,
        class_names=tuple(sorted({video["label"] for video in videos} - {None})),
        splits=dict(sorted(Counter(video["split"] for video in videos if video["split"]).items())),
        manifest_sha256=hash_videos(videos),
        ingest_sha256=ingest_sha256,
        decoder=decoder,
        encoder=encoder,
        codec_settings=CODEC_SETTINGS,
        created_by=f"rspnet {_own_version()}",
    )
    storage.write_json(storage.join(output, DESCRIPTION_NAME), description.to_json())
    return description


def _own_version() -> str:
    try:
        return importlib.metadata.version("rspnet")
    except importlib.metadata.PackageNotFoundError:  # straight from a checkout
        return "(not installed)"
