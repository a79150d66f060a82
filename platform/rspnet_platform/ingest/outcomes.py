"""What becomes of one video, and which part of it travels where: a summary to the driver, pixels to its shard."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.transcoding import TranscodedVideo
from rspnet_platform.shards.checksum import row_checksum
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.shards.schema import VIDEO_COLUMN
from rspnet_platform.videos.input_facts import InputFacts


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """The large part of a video. `data` may be any buffer of bytes."""

    data: Any
    index: PacketIndex


@dataclass(frozen=True, kw_only=True)
class TakenVideo:
    """The small part of a video. `pixels` is whatever the workplace that transcoded it finds its Pixels by."""

    num_frames: int
    frames_per_second: float
    height: int
    width: int
    sha256: str
    encoded_sha256: str
    num_bytes: int
    facts: InputFacts
    pixels: Any


@dataclass(frozen=True, kw_only=True)
class AlreadyPresent:
    """The version that is added to has the video, with the same bytes, under the same id."""


Outcome = TakenVideo | Refusal | AlreadyPresent


def summary_of(video: TranscodedVideo, pixels: Any) -> TakenVideo:
    """`pixels` is what the summary refers to them by."""
    return TakenVideo(
        num_frames=video.num_frames,
        frames_per_second=video.frames_per_second,
        height=video.height,
        width=video.width,
        sha256=video.sha256,
        encoded_sha256=video.encoded_sha256,
        num_bytes=len(video.data),
        facts=video.facts,
        pixels=pixels,
    )


def shard_row(metadata: Mapping[str, Any], pixels: Pixels) -> dict[str, Any]:
    """A row of SHARD_SCHEMA. `metadata` has the columns METADATA_FIELDS."""
    info = VideoInfo(
        video_index=metadata["video_index"],
        num_frames=metadata["num_frames"],
        frames_per_second=metadata["frames_per_second"],
        height=metadata["height"],
        width=metadata["width"],
    )
    data = memoryview(pixels.data)
    checksum = row_checksum(info, data, pixels.index)
    return {**metadata, VIDEO_COLUMN: data, "checksum": checksum, **pixels.index.to_row()}
