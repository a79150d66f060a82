"""Looks at a finished data set and leaves `audit.html` and the table of what was skipped beside it."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspnet_platform import storage
from rspnet_platform.ingest.audit.contact_sheet import FilmStrip, make_contact_sheet
from rspnet_platform.ingest.audit.dataset_numbers import (
    dataset_numbers,
    group_refusals,
    group_skipped,
    settings_rows,
)
from rspnet_platform.ingest.audit.findings import Finding, count, find_oddities
from rspnet_platform.ingest.audit.page import AuditReport, render_page
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.layouts.source_listing import SkippedFile, SourceListing
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset, read_refusals
from rspnet_platform.shards.description import versioned_name
from rspnet_platform.videos.refusal_reasons import RefusalReason

AUDIT_NAME = "audit.html"
SKIPPED_NAME = "skipped_files.parquet"
SHORT_NUM_FRAMES = 16
"""The clips of the published recipes have 16 frames."""

_SKIPPED_SCHEMA = pa.schema([("path", pa.string()), ("reason", pa.string())])
# How a run was made, not what came out: equal data sets have equal audits.
_UNSHOWN_SETTINGS = ("output", "num_processes", "run_on")


class AuditError(RuntimeError):
    """The report could not be made; the data set is complete all the same."""


def ensure_audit(output: str, config: IngestConfig, listing: SourceListing, version: int) -> str:
    """Returns the page's URI, and makes the page where `version` is the newest one and has none yet.

    `listing` is what the ingest that made the version found in its source. Equal data sets give equal pages. Raises
    AuditError whatever goes wrong: nothing of the data set depends on it.
    """
    audit_uri = storage.join(output, AUDIT_NAME)
    skipped_uri = storage.join(output, versioned_name(SKIPPED_NAME, version))
    try:
        if storage.exists(skipped_uri):
            return audit_uri
        dataset = open_dataset(output)
        if dataset.description.version == version:
            page = render_page(make_report(dataset, config, listing))
            storage.write_bytes(audit_uri, page.encode())
            _write_skipped(skipped_uri, listing.skipped)  # last: it tells that this version has its page
    except Exception as error:
        raise AuditError(
            f"the data set at {output} is complete, but its report {audit_uri} could not be made"
            f" ({type(error).__name__}: {error}); the same command tries again"
        ) from error
    return audit_uri


def make_report(dataset: ShardedDataset, config: IngestConfig, listing: SourceListing) -> AuditReport:
    """Reads the shards' sizes, the refusals and a few row groups."""
    description = dataset.description
    refusals = [Refusal(**row | {"reason": RefusalReason(row["reason"])}) for row in read_refusals(dataset.uri)]
    refused, skipped = group_refusals(refusals), group_skipped(listing.skipped)
    numbers = dataset_numbers(dataset.videos, short_side=description.short_side, short_num_frames=SHORT_NUM_FRAMES)
    shards = sorted(set(dataset.videos["shard"].to_pylist()))
    strips = make_contact_sheet(dataset, config.seed)
    oddities = find_oddities(numbers, refused, skipped, short_num_frames=SHORT_NUM_FRAMES)
    return AuditReport(
        title=listing.root.rstrip("/").rsplit("/", 1)[-1] or listing.root,
        description=description,
        numbers=numbers,
        num_stored_bytes=sum(storage.num_bytes(storage.join(dataset.uri, shard)) for shard in shards),
        num_shards=len(shards),
        findings=[*_about_damage(strips), *oddities],
        refused=refused,
        skipped=skipped,
        strips=strips,
        settings=settings_rows(_settings(config)),
        skipped_file=versioned_name(SKIPPED_NAME, description.version),
    )


def _about_damage(strips: Sequence[FilmStrip]) -> list[Finding]:
    damaged = [strip for strip in strips if strip.damage]
    if not damaged:
        return []
    meaning = "They were whole when they were written: look at the disk or the store before you train."
    return [Finding(headline=f"{count(len(damaged), 'stored video')} cannot be read", meaning=meaning)]


def _settings(config: IngestConfig) -> dict[str, Any]:
    settings = dataclasses.asdict(config)
    for name in _UNSHOWN_SETTINGS:
        settings.pop(name, None)
    return {name: _without_credentials(value) for name, value in settings.items()}


def _without_credentials(value: Any) -> Any:
    """Some stores take user:password@ in an address; a page is passed on."""
    return re.sub(r"(?<=://)[^/@]+@", "", value) if isinstance(value, str) else value


def _write_skipped(uri: str, skipped: Sequence[SkippedFile]) -> None:
    rows = [{"path": file.path, "reason": str(file.reason)} for file in skipped]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, _SKIPPED_SCHEMA), sink, compression="zstd")
    storage.write_bytes(uri, sink.getvalue().to_pybytes())
