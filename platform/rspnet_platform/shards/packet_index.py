"""Where each packet of a video lies in its bytes and which frame it holds, so that no demuxer is needed."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from jaxtyping import Bool, Int32, Int64

_SLICE, _IDR_SLICE = 1, 5  # H.264 nal_unit_type


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """The packets of an H.264 stream in decode order.

    `frame_index` is the presentation index (0, 1, 2, ...) of the packet's frame; `is_key` marks an IDR
    picture, where decoding can begin; no later packet refers to a frame that `is_disposable`.
    """

    offset: Int64[np.ndarray, "packet"]
    size: Int32[np.ndarray, "packet"]
    frame_index: Int32[np.ndarray, "packet"]
    is_key: Bool[np.ndarray, "packet"]
    is_disposable: Bool[np.ndarray, "packet"]
    extradata: bytes

    @property
    def num_frames(self) -> int:
        """One packet holds one frame."""
        return len(self.offset)

    @classmethod
    def empty(cls) -> "PacketIndex":
        """Of a video that keeps the bytes it came with (profile `original`): it is not read by packets."""
        columns = ("packet_offset", "packet_size", "packet_frame_index", "packet_is_key", "packet_is_disposable")
        return cls.from_row(dict.fromkeys(columns, ()) | {"extradata": b""})

    def to_row(self) -> dict[str, Any]:
        """The columns `packet_*` and `extradata` of a shard's row."""
        return {
            "packet_offset": self.offset,
            "packet_size": self.size,
            "packet_frame_index": self.frame_index,
            "packet_is_key": self.is_key,
            "packet_is_disposable": self.is_disposable,
            "extradata": self.extradata,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "PacketIndex":
        """The inverse of `to_row`; lists and arrays are both accepted."""
        return cls(
            offset=np.asarray(row["packet_offset"], np.int64),
            size=np.asarray(row["packet_size"], np.int32),
            frame_index=np.asarray(row["packet_frame_index"], np.int32),
            is_key=np.asarray(row["packet_is_key"], np.bool_),
            is_disposable=np.asarray(row["packet_is_disposable"], np.bool_),
            extradata=bytes(row["extradata"]),
        )


def index_packets(mp4_bytes: bytes) -> PacketIndex:
    """Indexes an MP4 file with one H.264 stream of one packet a frame.

    ValueError when the stream is not H.264 in MP4 packaging, begins without an IDR or lacks timestamps.
    """
    with av.open(io.BytesIO(mp4_bytes), "r") as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata or b""
        if stream.codec_context.name != "h264" or len(extradata) < 5 or extradata[0] != 1:
            raise ValueError(f"cannot index {stream.codec_context.name}; accepted: H.264 in an MP4 file (avcC)")
        length_size = (extradata[4] & 3) + 1
        packets = [
            (packet.pos, packet.size, packet.pts, *_picture_kind(bytes(packet), length_size))
            for packet in container.demux(stream)
            if packet.size
        ]
    timestamps = [timestamp for _, _, timestamp, _, _ in packets]
    if not packets or None in timestamps or len(set(timestamps)) != len(packets):
        raise ValueError(f"cannot index a stream whose {len(packets)} packets have no timestamps of their own")
    offsets, sizes, _, is_key, is_disposable = zip(*packets, strict=True)
    if not is_key[0]:
        raise ValueError("cannot index a stream that does not begin with an IDR picture")
    return PacketIndex(
        offset=np.array(offsets, np.int64),
        size=np.array(sizes, np.int32),
        frame_index=np.argsort(np.argsort(np.array(timestamps, np.int64))).astype(np.int32),
        is_key=np.array(is_key, np.bool_),
        is_disposable=np.array(is_disposable, np.bool_),
        extradata=extradata,
    )


def _picture_kind(packet: bytes, length_size: int) -> tuple[bool, bool]:
    """(is an IDR picture, is disposable) by the first slice's header: the demuxer does not say the latter.

    nal_ref_idc == 0 means that no other frame refers to this one.
    """
    position = 0
    while position + length_size < len(packet):
        size = int.from_bytes(packet[position : position + length_size], "big")
        header = packet[position + length_size]
        if header & 31 in (_SLICE, _IDR_SLICE):
            return header & 31 == _IDR_SLICE, header & 0x60 == 0
        position += length_size + size
    return False, False
