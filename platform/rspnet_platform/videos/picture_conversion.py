"""Decoded frames of any format into I420 of one size, in limited range and BT.601."""

from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from jaxtyping import UInt8

from rspnet_platform.shards.i420 import frame_to_i420
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

_MAX_LONG_SIDE = 8192


def target_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """(width, height) before it is turned upright, both even, which 4:2:0 needs."""
    scale = short_side / min(width, height)
    target_width, target_height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    if max(target_width, target_height) > _MAX_LONG_SIDE:
        detail = f"{width}x{height} scales to {target_width}x{target_height}; accepted: {_MAX_LONG_SIDE} a side"
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, detail)
    return target_width, target_height


class PictureConverter:
    """Scales and converts the frames of one video, whatever size and format each has."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._reformatter = VideoReformatter()
        self._weaver: _Weaver | None = None

    def convert(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "planes_height width"]:
        """Raises VideoRefusedError where there is no conversion."""
        return frame_to_i420(self.scaled(frame))

    def scaled(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The same as a frame, with all that was said of it; raises alike."""
        try:
            return self._scale(self._as_one_picture(frame))
        except (FFmpegError, ValueError, OSError) as error:
            detail = f"{frame.format.name} pictures of colour space {frame.colorspace} cannot be converted: {error}"
            raise VideoRefusedError(RefusalReason.UNSUPPORTED, detail) from error

    def _scale(self, frame: av.VideoFrame) -> av.VideoFrame:
        is_full_range = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
        return self._reformatter.reformat(
            frame,
            *self._size,
            "yuv420p",
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG if is_full_range else ColorRange.MPEG,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )

    def _as_one_picture(self, frame: av.VideoFrame) -> av.VideoFrame:
        """libswscale would scale the two fields of an interlaced frame apart: the comb would stay at any size."""
        if not frame.interlaced_frame:
            return frame
        if self._weaver is None or not self._weaver.fits(frame):
            self._weaver = _Weaver(frame)
        return self._weaver.weave(frame)


class _Weaver:
    """Takes the mark `interlaced` off frames of one size and format; their pixels stay."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._shape = self._shape_of(frame)
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        self._graph.link_nodes(source, self._graph.add("setfield", "prog"), self._graph.add("buffersink")).configure()

    def fits(self, frame: av.VideoFrame) -> bool:
        return self._shape == self._shape_of(frame)

    def weave(self, frame: av.VideoFrame) -> Any:
        self._graph.push(frame)
        return self._graph.pull()

    @staticmethod
    def _shape_of(frame: av.VideoFrame) -> tuple[int, int, str]:
        return frame.width, frame.height, frame.format.name
