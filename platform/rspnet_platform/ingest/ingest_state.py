"""How far an ingest has come: what it took and refused, and the shard that it is filling."""

from collections import deque
from typing import Any

import pyarrow as pa

from rspnet_platform import storage
from rspnet_platform.ingest.base_version import BaseVersion
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.journal import Journal, ShardRecord
from rspnet_platform.ingest.outcomes import AlreadyPresent, Outcome, TakenVideo
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.sources import SourceListing, VideoSource
from rspnet_platform.ingest.workplace import OpenShard, ShardWrite, Workplace
from rspnet_platform.shards.schema import VIDEOS_SCHEMA
from rspnet_platform.shards.shard_layout import RowPlace, ShardLayout, shard_name
from rspnet_platform.videos.refusal_reasons import RefusalReason

MAX_SHARDS_BEING_WRITTEN = 4


class IngestState:
    """Begins with what the journal remembers; every shard is added to it once it is in its place.

    All decisions are made here, in the order of the videos: which are duplicates, which number each gets, and where
    it lies. `refusals` are new ones, that the version added to does not list yet; `next_position` counts the
    consumed videos of the shuffled order.
    """

    def __init__(
        self, output: str, config: IngestConfig, base: BaseVersion, journal: Journal, listing: SourceListing
    ) -> None:
        self.output = output
        self.refusals: list[Refusal] = []
        self.num_already_present = self.num_already_refused = self.next_position = 0
        self._base = base
        self._journal = journal
        self._taken = dict(base.id_by_sha256)
        self._closed_tables = [base.videos]
        self._num_videos = len(base.videos)
        for refusal in listing.refusals:
            self._refuse(refusal)
        records = journal.read()
        for record in records:
            self._remember(record)
        self._num_records = len(records)
        self._layout = ShardLayout(base.num_shards + len(records), config.shards)
        self._shard: OpenShard | None = None
        self._open_rows: list[dict[str, Any]] = []
        self._num_recorded_refusals = len(self.refusals)
        self._being_written: deque[tuple[ShardWrite, ShardRecord]] = deque()

    @property
    def num_added(self) -> int:
        return self._num_videos - len(self._base.videos)

    def videos(self) -> pa.Table:
        """VIDEOS_SCHEMA of all videos, also of the version added to; call after `finish`."""
        return pa.concat_tables(self._closed_tables).combine_chunks()

    def consume(self, video: VideoSource, outcome: Outcome, workplace: Workplace) -> None:
        """The next video of the shuffled order, with what became of it."""
        self.next_position += 1
        if isinstance(outcome, AlreadyPresent):
            self.num_already_present += 1
        elif isinstance(outcome, Refusal):
            self._refuse(outcome)
        elif (first := self._taken.get(outcome.sha256)) is not None:
            detail = f"the same bytes as {first}"
            self._refuse(Refusal(path=video.video_id, reason=RefusalReason.DUPLICATE, detail=detail))
        else:
            self._taken[outcome.sha256] = video.video_id
            self._add(video, outcome, workplace)
        self._record_written(max_left=MAX_SHARDS_BEING_WRITTEN)

    def finish(self) -> None:
        """Closes the last shard and waits until all are in their places; call when the source is exhausted."""
        if self._shard is not None:
            self._close_shard(self._shard)
        self._record_written(max_left=0)

    def discard_open_shard(self) -> None:
        """An interrupted shard leaves nothing; harmless after `finish`."""
        if self._shard is not None:
            self._shard.discard()

    def _refuse(self, refusal: Refusal) -> None:
        if (refusal.path, refusal.reason) in self._base.refused:
            self.num_already_refused += 1
        else:
            self.refusals.append(refusal)

    def _remember(self, record: ShardRecord) -> None:
        self.next_position = record.next_position
        self.num_already_present = record.num_already_present
        self.num_already_refused = record.num_already_refused
        self.refusals += record.refusals
        self._taken |= {video["sha256"]: video["video_id"] for video in record.videos}
        self._keep(record.videos)
        self._num_videos += len(record.videos)

    def _keep(self, rows: Any) -> None:
        """As a table: hundreds of thousands of dicts would be gigabytes."""
        self._closed_tables.append(pa.Table.from_pylist(list(rows), VIDEOS_SCHEMA))

    def _add(self, video: VideoSource, taken: TakenVideo, workplace: Workplace) -> None:
        place = self._layout.add(taken.num_bytes)
        if self._shard is None:
            self._shard = workplace.open_shard(storage.join(self.output, shard_name(place.shard_index)))
        metadata = _metadata(self._num_videos, video, taken)
        self._shard.add(metadata, place.row_group, taken)
        self._open_rows.append(metadata | _table_columns(taken, place))
        self._num_videos += 1
        if self._layout.is_between_shards:
            self._close_shard(self._shard)

    def _close_shard(self, shard: OpenShard) -> None:
        record = ShardRecord(
            next_position=self.next_position,
            videos=self._open_rows,
            refusals=self.refusals[self._num_recorded_refusals :],
            num_already_present=self.num_already_present,
            num_already_refused=self.num_already_refused,
        )
        self._being_written.append((shard.close(), record))
        self._keep(self._open_rows)
        self._shard, self._open_rows, self._num_recorded_refusals = None, [], len(self.refusals)

    def _record_written(self, *, max_left: int) -> None:
        """Enters finished shards into the journal, in order, and waits while more than `max_left` are unfinished."""
        while self._being_written and (len(self._being_written) > max_left or self._being_written[0][0].done()):
            write, record = self._being_written.popleft()
            write.result()
            self._journal.append(self._num_records, record)
            self._num_records += 1


def _metadata(video_index: int, video: VideoSource, taken: TakenVideo) -> dict[str, Any]:
    return {
        "video_index": video_index,
        "video_id": video.video_id,
        "label": video.label,
        "source": video.source,
        "split": video.split,
        "num_frames": taken.num_frames,
        "frames_per_second": taken.frames_per_second,
        "height": taken.height,
        "width": taken.width,
        "sha256": taken.sha256,
    }


def _table_columns(taken: TakenVideo, place: RowPlace) -> dict[str, Any]:
    """What `videos.parquet` has beyond the metadata."""
    return taken.facts.to_row() | {
        "encoded_sha256": taken.encoded_sha256,
        "shard": shard_name(place.shard_index),
        "row_group": place.row_group,
        "row": place.row,
    }
