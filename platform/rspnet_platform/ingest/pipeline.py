"""An ingest from its source to a data set: list, transcode in child processes, write shards, describe."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rspnet_platform import storage
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.ingest_state import IngestState
from rspnet_platform.ingest.isolation import IsolatedMap, IsolationFailure
from rspnet_platform.ingest.journal import JOURNAL_FOLDER, Journal
from rspnet_platform.ingest.manifest import hash_command, write_dataset_files
from rspnet_platform.ingest.one_video import TranscodingTask, run_task
from rspnet_platform.ingest.refusals import Refusal, count_by_reason, write_refusals
from rspnet_platform.ingest.sources import SourceListing, VideoSource, list_videos
from rspnet_platform.ingest.transcoding import TranscodedVideo
from rspnet_platform.shards.dataset import DESCRIPTION_NAME, REFUSALS_NAME, open_dataset, read_refusals
from rspnet_platform.videos.refusal_reasons import RefusalReason


@dataclass(frozen=True, kw_only=True)
class IngestResult:
    """What is in the data set at `output`. `already_complete`: the same command had made it before."""

    num_videos: int
    num_refused: int
    refused_by_reason: Mapping[str, int]
    num_skipped_files: int
    num_frames: int
    output: str
    already_complete: bool

    def to_json(self) -> dict[str, Any]:
        """The fields, as a job prints them."""
        return dataclasses.asdict(self)


class TooManyRefusalsError(ValueError):
    """More videos were refused than `max_refused_fraction`; `refusals` says which and why."""

    def __init__(self, message: str, refusals: tuple[Refusal, ...]) -> None:
        super().__init__(message)
        self.refusals = refusals


def ingest(config: IngestConfig, progress: Callable[[int, int, int], None] | None = None) -> IngestResult:
    """Makes a data set at `config.output`, goes on with one that was interrupted, or finds it complete.

    `progress(num_done, num_in_all, num_refused)` is called after every video.
    Equal sources and settings give equal data sets, bit by bit, whatever the number of processes and
    interruptions. ValueError for a source or an output that cannot be used, TooManyRefusalsError when too
    little is left, StorageError when storage fails; the same command goes on later in each case.
    """
    output = storage.resolve_uri(config.output)
    listing = list_videos(config.source, config.source_root, config.source_layout)
    ingest_sha256 = hash_command(config, listing)
    if storage.exists(storage.join(output, DESCRIPTION_NAME)):
        return _complete_result(output, ingest_sha256, listing)
    journal = Journal(output, ingest_sha256)
    state = IngestState(output, config, journal, listing)
    num_total = len(listing.videos) + len(listing.refusals)
    try:
        _check_refusals(state, config, num_total)
        for video, outcome in _transcoded(config, listing, state.next_position):
            state.consume(video, outcome)
            _check_refusals(state, config, num_total)
            if progress is not None:
                progress(state.next_position + len(listing.refusals), num_total, len(state.refusals))
        state.finish()
    finally:
        state.discard_open_shard()
    return _describe(output, config, listing, state, journal, ingest_sha256)


def _transcoded(
    config: IngestConfig, listing: SourceListing, next_position: int
) -> Iterator[tuple[VideoSource, TranscodedVideo | Refusal]]:
    """Each video with its outcome, in the seed's order, from `next_position` on."""
    order = np.random.default_rng(config.seed).permutation(len(listing.videos))[next_position:]
    videos = [listing.videos[position] for position in order]
    num_processes = min(config.num_processes or _num_cpus(), max(1, len(videos)))
    tasks = (TranscodingTask(video=video, config=config) for video in videos)
    with IsolatedMap(run_task, num_processes=num_processes, timeout_seconds=config.timeout_seconds) as isolated:
        for video, outcome in zip(videos, isolated.run(tasks), strict=True):
            if isinstance(outcome, IsolationFailure):
                outcome = Refusal(path=video.video_id, reason=outcome.reason, detail=outcome.detail)
            yield video, outcome


def _num_cpus() -> int:
    """Those that this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _check_refusals(state: IngestState, config: IngestConfig, num_total: int) -> None:
    """Stops as soon as it is certain: nobody should wait hours for it."""
    if len(state.refusals) / num_total > config.max_refused_fraction:
        _raise_too_many(state, f"accepted: up to {config.max_refused_fraction:.0%} (max_refused_fraction)", num_total)
    if len(state.refusals) == num_total:
        _raise_too_many(state, "accepted: at least one usable video", num_total)


def _raise_too_many(state: IngestState, accepted: str, num_total: int) -> None:
    write_refusals(state.output, state.refusals)
    num_tried = f"{state.next_position} tried so far"
    lines = [f"{len(state.refusals)} of {num_total} videos were refused ({num_tried}); {accepted}"]
    for reason, count in count_by_reason(state.refusals).items():
        example = next(refusal for refusal in state.refusals if refusal.reason == reason)
        sentence = RefusalReason(reason).sentence
        lines.append(f"  {reason}: {count} ({sentence} For example {example.path}: {example.detail})")
    lines.append(f"  all of them: {storage.join(state.output, REFUSALS_NAME)}")
    raise TooManyRefusalsError("\n".join(lines), tuple(state.refusals))


def _describe(
    output: str,
    config: IngestConfig,
    listing: SourceListing,
    state: IngestState,
    journal: Journal,
    ingest_sha256: str,
) -> IngestResult:
    write_refusals(output, state.refusals)
    num_refused = len(state.refusals)
    description = write_dataset_files(
        output, config, state.videos, num_refused=num_refused, ingest_sha256=ingest_sha256
    )
    journal.delete()
    return IngestResult(
        num_videos=description.num_videos,
        num_refused=num_refused,
        refused_by_reason=count_by_reason(state.refusals),
        num_skipped_files=len(listing.skipped_files),
        num_frames=description.num_frames,
        output=output,
        already_complete=False,
    )


def _complete_result(output: str, ingest_sha256: str, listing: SourceListing) -> IngestResult:
    description = open_dataset(output).description
    if description.ingest_sha256 != ingest_sha256:
        raise ValueError(
            f"output {output} holds another data set: {description.num_videos} videos, made from another"
            " source or with other settings; accepted: another output, or this folder once deleted"
        )
    storage.delete_folder(storage.join(output, JOURNAL_FOLDER))  # in case the last run ended right before that
    refusals = [Refusal(**row | {"reason": RefusalReason(row["reason"])}) for row in read_refusals(output)]
    return IngestResult(
        num_videos=description.num_videos,
        num_refused=description.num_refused,
        refused_by_reason=count_by_reason(refusals),
        num_skipped_files=len(listing.skipped_files),
        num_frames=description.num_frames,
        output=output,
        already_complete=True,
    )
