"""The identity of a data set and of the command that made it, and the files that make it one."""

import dataclasses
import hashlib
import importlib.metadata
import json
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.sources import SourceListing
from rspnet_platform.ingest.transcoding import codec_settings, library_versions
from rspnet_platform.shards.description import (
    DESCRIPTION_NAME,
    REFUSALS_NAME,
    VIDEOS_NAME,
    DatasetDescription,
    description_uri,
    versioned_name,
)
from rspnet_platform.shards.schema import METADATA_COLUMNS, SCHEMA_VERSION

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
    "run_on",
    "add",
)


def hash_command(config: IngestConfig, listing: SourceListing) -> str:
    """Equal for commands that would make the same data set of the same list of files. `listing` has not got the splits
    that `test_fraction` draws yet: they depend on what the data set has when a command is given first."""
    settings = dataclasses.asdict(config)
    for name in _RUNNING_FIELDS:
        del settings[name]
    if config.test_fraction is None:  # as of the commands from before there was one
        del settings["test_fraction"]
    entries = [[v.video_id, v.label, v.split, v.source] for v in listing.videos]
    refused = [refusal.path for refusal in listing.refusals]
    value = [SCHEMA_VERSION, codec_settings(config), settings, listing.root, entries, refused]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def hash_videos(videos: pa.Table) -> str:
    """The data set's identity: metadata and pixels of every video, in order, however they lie in shards."""
    names = [*METADATA_COLUMNS, "encoded_sha256"]
    digest = hashlib.sha256()
    for batch in videos.select(names).to_batches(max_chunksize=1024):
        for video in batch.to_pylist():
            digest.update(json.dumps([video[name] for name in names]).encode() + b"\n")
    return digest.hexdigest()


def write_dataset_files(
    output: str,
    config: IngestConfig,
    videos: pa.Table,
    *,
    version: int,
    num_refused: int,
    num_already_present: int,
    ingest_sha256: str,
) -> DatasetDescription:
    """Writes the table of videos, and `dataset.json` last: from then on the folder is a data set of this version."""
    videos_file = versioned_name(VIDEOS_NAME, version)
    sink = pa.BufferOutputStream()
    pq.write_table(videos, sink, compression="zstd")
    storage.write_bytes(storage.join(output, videos_file), sink.getvalue().to_pybytes())
    decoder, encoder = library_versions(config)
    splits = Counter(videos["split"].to_pylist())
    description = DatasetDescription(
        schema_version=SCHEMA_VERSION,
        profile=config.profile,
        short_side=config.short_side,
        frames_per_second=config.frames_per_second,
        num_videos=len(videos),
        num_frames=sum(videos["num_frames"].to_pylist()),
        num_refused=num_refused,
        class_names=tuple(sorted(set(videos["label"].to_pylist()) - {None})),
        splits={split: count for split, count in sorted(splits.items(), key=str) if split},
        manifest_sha256=hash_videos(videos),
        ingest_sha256=ingest_sha256,
        decoder=decoder,
        encoder=encoder,
        codec_settings=codec_settings(config),
        created_by=f"rspnet {_own_version()}",
        version=version,
        videos_file=videos_file,
        refusals_file=versioned_name(REFUSALS_NAME, version),
        num_already_present=num_already_present,
        test_fraction=config.test_fraction,
        split_seed=None if config.test_fraction is None else config.seed,
    )
    _publish(output, description)
    return description


def _publish(output: str, description: DatasetDescription) -> None:
    newest_uri = storage.join(output, DESCRIPTION_NAME)
    if description.version == 2 and not storage.exists(description_uri(output, 1)):  # made before there were versions
        storage.write_json(description_uri(output, 1), storage.read_json(newest_uri))
    storage.write_json(description_uri(output, description.version), description.to_json())
    storage.write_json(newest_uri, description.to_json())


def _own_version() -> str:
    try:
        return importlib.metadata.version("rspnet")
    except importlib.metadata.PackageNotFoundError:  # straight from a checkout
        return "(not installed)"
