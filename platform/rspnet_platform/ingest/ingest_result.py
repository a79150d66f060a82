"""What an ingest says of the data set that it leaves."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rspnet_platform.ingest.base_version import stored_refusals
from rspnet_platform.ingest.refusals import count_by_reason
from rspnet_platform.ingest.sources import SourceListing
from rspnet_platform.shards.dataset import read_description
from rspnet_platform.shards.description import DatasetDescription


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What is in the data set at `output` in the version that this command made: `num_videos`, `num_frames` and what
    was refused count all of it, `num_added` the videos that this version has and the one before has not,
    `num_missing_files` what the lists of a data set of dead links name and nobody has.

    `already_complete`: nothing was left to do, for the same command had made it before or nothing new was listed.
    `audit` is the report's address; where it could not be made, `audit_error` says why, and the data set is whole.
    """

    num_videos: int
    num_added: int
    num_already_present: int
    num_refused: int
    refused_by_reason: Mapping[str, int]
    num_skipped_files: int
    num_missing_files: int
    num_frames: int
    output: str
    version: int
    already_complete: bool
    audit: str | None = None
    audit_error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields, as a job prints them."""
        return dataclasses.asdict(self)


def result_of_version(output: str, version: DatasetDescription, listing: SourceListing) -> IngestResult:
    """Of the command that made this version."""
    num_before = read_description(output, version.version - 1).num_videos if version.version > 1 else 0
    return IngestResult(
        num_videos=version.num_videos,
        num_added=version.num_videos - num_before,
        num_already_present=version.num_already_present,
        num_refused=version.num_refused,
        refused_by_reason=count_by_reason(stored_refusals(output, version.version)),
        num_skipped_files=len(listing.skipped_files),
        num_missing_files=len(listing.missing_files),
        num_frames=version.num_frames,
        output=output,
        version=version.version,
        already_complete=False,
    )
