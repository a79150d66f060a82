"""How far an ingest has come: what it took and refused, and the shard that it is filling."""

from typing import Any

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.journal import Journal, ShardRecord
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.sources import SourceListing, VideoSource
from rspnet_platform.ingest.transcoding import TranscodedVideo
from rspnet_platform.shards.checksum import row_checksum
from rspnet_platform.shards.shard_writer import ShardWriter
from rspnet_platform.videos.refusal_reasons import RefusalReason


class IngestState:
    """Begins with what the journal remembers; every closed shard is added to it.

    `videos` are rows of VIDEOS_SCHEMA, `next_position` counts the consumed videos of the shuffled order.
    """

    def __init__(self, output: str, config: IngestConfig, journal: Journal, listing: SourceListing) -> None:
        records = journal.read()
        self.output = output
        self.videos = [video for record in records for video in record.videos]
        self.refusals = [*listing.refusals, *(refusal for record in records for refusal in record.refusals)]
        self.next_position = records[-1].next_position if records else 0
        self._num_journaled_videos = len(self.videos)
        self._num_journaled_refusals = len(self.refusals)
        self._num_shards = len(records)
        self._config = config
        self._journal = journal
        self._writer: ShardWriter | None = None
        self._taken = {video["sha256"]: video["video_id"] for video in self.videos}

    def consume(self, video: VideoSource, outcome: TranscodedVideo | Refusal) -> None:
        """The next video of the shuffled order, with what became of it."""
        self.next_position += 1
        if isinstance(outcome, Refusal):
            self.refusals.append(outcome)
        elif (first := self._taken.get(outcome.sha256)) is not None:
            detail = f"the same bytes as {first}"
            self.refusals.append(Refusal(path=video.video_id, reason=RefusalReason.DUPLICATE, detail=detail))
        else:
            self._taken[outcome.sha256] = video.video_id
            self._add(video, outcome)

    def finish(self) -> None:
        """Closes the last shard; call when the source is exhausted."""
        if self._writer is not None:
            self._close_shard(self._writer)

    def discard_open_shard(self) -> None:
        """An interrupted shard leaves nothing; harmless after `finish`."""
        if self._writer is not None:
            self._writer.discard()

    def _add(self, video: VideoSource, transcoded: TranscodedVideo) -> None:
        if self._writer is None:
            self._writer = ShardWriter(self.output, self._num_shards, self._config.shards)
        metadata: dict[str, Any] = {
            "video_index": len(self.videos),
            "video_id": video.video_id,
            "label": video.label,
            "source": video.source,
            "split": video.split,
            "num_frames": transcoded.num_frames,
            "frames_per_second": transcoded.frames_per_second,
            "height": transcoded.height,
            "width": transcoded.width,
            "sha256": transcoded.sha256,
        }
        info = VideoInfo(
            video_index=len(self.videos),
            num_frames=transcoded.num_frames,
            frames_per_second=transcoded.frames_per_second,
            height=transcoded.height,
            width=transcoded.width,
        )
        checksum = row_checksum(info, transcoded.data, transcoded.index)
        row = metadata | {"video": transcoded.data, "checksum": checksum} | transcoded.index.to_row()
        place = self._writer.add(row)
        metadata |= transcoded.facts.to_row()
        metadata["encoded_sha256"] = transcoded.encoded_sha256
        metadata |= {"shard": place.shard, "row_group": place.row_group, "row": place.row}
        self.videos.append(metadata)
        if self._writer.is_full:
            self._close_shard(self._writer)

    def _close_shard(self, writer: ShardWriter) -> None:
        writer.close()
        record = ShardRecord(
            next_position=self.next_position,
            videos=self.videos[self._num_journaled_videos :],
            refusals=self.refusals[self._num_journaled_refusals :],
        )
        self._journal.append(self._num_shards, record)
        self._num_journaled_videos, self._num_journaled_refusals = len(self.videos), len(self.refusals)
        self._num_shards += 1
        self._writer = None
