"""How a data set's videos become frames: one reader a profile, and two to choose from for videos that were kept as
they came. All give the same frame indices the same pictures, up to codec error."""

from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from jaxtyping import UInt8

from rspnet_platform.shards.dataset import DatasetDescription
from rspnet_platform.shards.i420 import Planes, frame_planes, picture_planes
from rspnet_platform.shards.packet_reader import DamagedVideoError, read_planes
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.decord_process import decord_pictures
from rspnet_platform.videos.limits import VideoLimits
from rspnet_platform.videos.refusal_reasons import VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

DECODE_TIMEOUT_SECONDS = 120.0
"""What an ingest grants a video by default."""

MAX_PIXELS_PER_FRAME = 16384**2

Frames = dict[int, Planes]


class FrameReader(Protocol):
    """Implementations are frozen dataclasses of plain values: they travel to decode workers."""

    @property
    def decoder(self) -> str:
        """Name and version, for the run's record."""
        ...

    def read(self, video: EncodedVideo, wanted: Collection[int]) -> Frames:
        """The frames `wanted` by presentation index, of the video's own height and width. Raises DamagedVideoError
        where the bytes do not give them."""
        ...


@dataclass(frozen=True, kw_only=True)
class IndexedReader:
    """Just the packets that the wanted frames need, for the profile `indexed`."""

    @property
    def decoder(self) -> str:
        return f"packet index, {_pyav_version()}"

    def read(self, video: EncodedVideo, wanted: Collection[int]) -> Frames:
        return check_pictures(video, read_planes(video.data, video.index, wanted), wanted)


@dataclass(frozen=True, kw_only=True)
class SequentialReader:
    """PyAV from the first frame to the last wanted one: right for every file, as the ingest decoded it."""

    short_side: int

    @property
    def decoder(self) -> str:
        return f"sequential, {_pyav_version()}"

    def read(self, video: EncodedVideo, wanted: Collection[int]) -> Frames:
        last, frames = max(wanted), {}
        try:
            with open_video(bytes(video.data), short_side=self.short_side, limits=reading_limits(video)) as opened:
                for index, picture in enumerate(opened.frames):
                    if index in wanted:
                        frames[index] = picture_planes(picture)
                    if index == last:
                        break
        except VideoRefusedError as error:
            raise DamagedVideoError(str(error)) from error
        return check_pictures(video, frames, wanted)


@dataclass(frozen=True, kw_only=True)
class DecordReader:
    """One decord call on all wanted frames, in a child process: it crashed on one in eight damaged files.

    decord seeks, and what it then returns is another frame in files with open groups of pictures, in MPEG-TS and
    program streams, in some AVI and WMV files. Where it counts other frames than the ingest did, the video is damaged
    for it; where the count agrees nobody can tell. `pyav` is right there too.
    """

    timeout_seconds: float = DECODE_TIMEOUT_SECONDS

    @property
    def decoder(self) -> str:
        return f"decord {version('decord')}"

    def read(self, video: EncodedVideo, wanted: Collection[int]) -> Frames:
        indices = sorted(wanted)
        check_opens(video)
        pictures = decord_pictures(video.data, video.info, indices, timeout_seconds=self.timeout_seconds)
        return {index: rgb_planes(picture) for index, picture in zip(indices, pictures, strict=True)}


def rgb_planes(picture: UInt8[np.ndarray, "height width 3"]) -> Planes:
    """BT.601 in limited range, of even sides, as `open_video` gives it; OpenCV's leaves colours out between pixels."""
    height, width = picture.shape[:2]
    frame = VideoReformatter().reformat(
        av.VideoFrame.from_ndarray(picture, format="rgb24"),
        width,
        height,
        "yuv420p",
        dst_colorspace=Colorspace.ITU601,
        dst_color_range=ColorRange.MPEG,
        threads=1,
    )
    return frame_planes(frame)


def check_opens(video: EncodedVideo) -> None:
    """A playlist that calls itself a video would make decord open other files; PyAV is told not to. Costs 1 to 2 ms."""
    try:
        with open_video(bytes(video.data), short_side=2, limits=reading_limits(video)):
            pass
    except VideoRefusedError as error:
        raise DamagedVideoError(str(error)) from error


def reading_limits(video: EncodedVideo) -> VideoLimits:
    """What the ingest has let through, whatever its limits were; no more than any picture that fits into memory."""
    return VideoLimits(max_num_frames=video.info.num_frames, max_pixels_per_frame=MAX_PIXELS_PER_FRAME)


def frame_reader(description: DatasetDescription, decoder: Decoder | None) -> FrameReader:
    """What reads a data set of this profile. Raises ValueError for a decoder that the profile does not have."""
    if description.profile == "indexed":
        if decoder is not None:
            raise ValueError(
                f"data.decoder is {decoder!r}, and the data set's profile is 'indexed', which has a reader of its own; "
                "accepted: no decoder, or a data set of the profile 'original'"
            )
        return IndexedReader()
    if description.profile == "original":
        return DecordReader() if decoder == "decord" else SequentialReader(short_side=description.short_side)
    raise ValueError(f"the data set's profile is {description.profile!r}; accepted: 'indexed', 'original'")


def check_pictures(video: EncodedVideo, frames: Frames, wanted: Collection[int]) -> Frames:
    """The same frames. Raises DamagedVideoError unless all are there in the size that the row states."""
    if missing := sorted(set(wanted) - frames.keys()):
        raise DamagedVideoError(
            f"{len(missing)} of {len(wanted)} wanted frames are missing, from frame {missing[0]} on"
        )
    expected = (video.info.height, video.info.width)
    if wrong := {planes.luma.shape for planes in frames.values()} - {expected}:
        raise DamagedVideoError(f"frames of {sorted(wrong)} came out where the row promises {expected}")
    return frames


def _pyav_version() -> str:
    return f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"
