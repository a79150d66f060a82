"""An ingest from its source to a data set: list, transcode, decide what is taken and where it lies, describe."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.home import is_unpacked_by_ray
from rspnet_platform.ingest.audit.write_audit import AuditError, ensure_audit
from rspnet_platform.ingest.base_version import (
    NOTHING,
    BaseVersion,
    find_finished_version,
    open_base_version,
)
from rspnet_platform.ingest.drawn_split import check_without_splits, with_drawn_split
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.ingest_result import IngestResult, result_of_version
from rspnet_platform.ingest.ingest_state import IngestState
from rspnet_platform.ingest.journal import Journal, delete_journal_of
from rspnet_platform.ingest.manifest import hash_command, write_dataset_files
from rspnet_platform.ingest.one_video import TranscodingTask
from rspnet_platform.ingest.refusal_limit import RefusalLimit
from rspnet_platform.ingest.refusals import write_refusals
from rspnet_platform.ingest.sources import SourceListing, list_videos
from rspnet_platform.ingest.workplace import open_workplace
from rspnet_platform.lease import is_leased, leased
from rspnet_platform.shards.dataset import read_description
from rspnet_platform.shards.description import DESCRIPTION_NAME


def ingest(config: IngestConfig, progress: Callable[[int, int, int], None] | None = None) -> IngestResult:
    """Makes a data set at `config.output` or adds to it, goes on where it was interrupted, or finds it complete.

    `progress(num_done, num_in_all, num_refused)` is called at the start and after every video.
    Equal sources and settings give equal data sets, bit by bit, whatever the number of processes, nodes and
    interruptions. ValueError for a source or an output that cannot be used, TooManyRefusalsError when too little is
    left, StorageError when storage fails; the same command goes on later in each case.
    """
    output = _resolve_output(config.output)
    listing = _with_prefix(list_videos(config.source, config.source_root, config.source_layout), config.video_id_prefix)
    for note in listing.notes:
        say(note)
    if config.test_fraction is not None:
        check_without_splits(listing, config.test_fraction)
    ingest_sha256 = hash_command(config, listing)
    # A job that adds to the data set has files of its own there, which are not what killed ones have left.
    if (result := _find_finished(output, listing, ingest_sha256, cleans=not is_leased(output))) is None:
        _open_output(output, config, ingest_sha256)  # refuses what cannot be, before another job is waited for
        with leased(output):
            result = _find_finished(output, listing, ingest_sha256, cleans=True)  # another job may have ended it since
            if result is None:
                return _ingest_leased(output, config, listing, ingest_sha256, progress or (lambda *_: None))
    return _with_audit(result, config, listing)


def _find_finished(output: str, listing: SourceListing, ingest_sha256: str, *, cleans: bool) -> IngestResult | None:
    """What this very command has made before."""
    if not storage.exists(storage.join(output, DESCRIPTION_NAME)):
        return None
    if (finished := find_finished_version(output, ingest_sha256)) is None:
        return None
    if cleans:
        delete_journal_of(output, ingest_sha256)  # in case the last run ended right before that
        storage.delete_partial_files(output)
    return replace(result_of_version(output, finished, listing), already_complete=True)


def _open_output(output: str, config: IngestConfig, ingest_sha256: str) -> tuple[BaseVersion, Journal]:
    """What there is to add to, and what an interrupted run of this command has done. Raises ValueError for an output
    that holds something else."""
    base = NOTHING
    if storage.exists(storage.join(output, DESCRIPTION_NAME)):
        base = _base_to_add_to(output, config)
    elif config.add:
        raise ValueError(f"there is no complete data set at {output} to add to; accepted: the same without --add")
    return base, Journal(output, ingest_sha256, base.version)


def _ingest_leased(
    output: str,
    config: IngestConfig,
    listing: SourceListing,
    ingest_sha256: str,
    progress: Callable[[int, int, int], None],
) -> IngestResult:
    base, journal = _open_output(output, config, ingest_sha256)
    if config.test_fraction is not None:
        listing, notes = with_drawn_split(listing, base, fraction=config.test_fraction, seed=config.seed)
        for note in notes:
            say(note)
    state = IngestState(output, config, base, journal, listing)
    _run(state, config, base, listing, progress)
    storage.delete_partial_files(output)  # of runs of this command that were killed as they wrote
    return _with_audit(_finish(state, config, base, journal, listing, ingest_sha256), config, listing)


def _resolve_output(output: str) -> str:
    uri = storage.resolve_uri(output)
    if not storage.is_remote(uri) and is_unpacked_by_ray(Path(uri)):
        raise ValueError(
            f"output {output} leads to {uri}, below the folder that Ray unpacks jobs to and deletes; accepted:"
            " an absolute path in a folder that all nodes share, or a URI such as s3://bucket/folder"
        )
    return uri


def _with_audit(result: IngestResult, config: IngestConfig, listing: SourceListing) -> IngestResult:
    """The data set is complete by now, whatever happens to its report."""
    try:
        return replace(result, audit=ensure_audit(result.output, config, listing, result.version))
    except AuditError as error:
        return replace(result, audit_error=str(error))


def _with_prefix(listing: SourceListing, prefix: str) -> SourceListing:
    return replace(
        listing,
        videos=tuple(replace(video, video_id=prefix + video.video_id) for video in listing.videos),
        refusals=tuple(replace(refusal, path=prefix + refusal.path) for refusal in listing.refusals),
    )


def _base_to_add_to(output: str, config: IngestConfig) -> BaseVersion:
    if not config.add:
        raise ValueError(
            f"output {output} holds another data set: {read_description(output).num_videos} videos, made from another"
            " source or with other settings; accepted: --add to add these videos to it, another output, or this"
            " folder once deleted"
        )
    return open_base_version(output, config)


def _run(
    state: IngestState,
    config: IngestConfig,
    base: BaseVersion,
    listing: SourceListing,
    progress: Callable[[int, int, int], None],
) -> None:
    """Takes the videos in the seed's order from where `state` is, to the last shard."""
    order = np.random.default_rng(config.seed).permutation(len(listing.videos))[state.next_position :]
    videos = [listing.videos[position] for position in order]
    tasks = (TranscodingTask(video=video, config=config, present=base.present(video.video_id)) for video in videos)
    limit = RefusalLimit(config.max_refused_fraction, listing, base)

    def report() -> None:
        limit.check(state)
        progress(state.next_position + len(listing.refusals), limit.num_listed, len(state.refusals))

    try:
        report()
        with open_workplace(config, listing.root, num_videos=len(videos)) as workplace:
            for video, outcome in zip(videos, workplace.transcode(tasks), strict=True):
                state.consume(video, outcome, workplace)
                report()
            state.finish()
    finally:
        state.discard_open_shard()


def _finish(
    state: IngestState,
    config: IngestConfig,
    base: BaseVersion,
    journal: Journal,
    listing: SourceListing,
    ingest_sha256: str,
) -> IngestResult:
    if not state.num_added and not state.refusals:
        journal.delete()
        result = result_of_version(state.output, read_description(state.output), listing)
        return replace(result, num_added=0, num_already_present=state.num_already_present, already_complete=True)
    refusals = [*base.refusals, *state.refusals]
    write_refusals(state.output, refusals, base.version + 1)
    description = write_dataset_files(
        state.output,
        config,
        state.videos(),
        version=base.version + 1,
        num_refused=len(refusals),
        num_already_present=state.num_already_present,
        ingest_sha256=ingest_sha256,
    )
    journal.delete()
    return result_of_version(state.output, description, listing)
