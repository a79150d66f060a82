"""Makes small real videos for tests, with the faults and the properties that a test asks for."""

import io
import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

# Without it Matroska files carry a random number.
_SAME_BYTES = {"fflags": "+bitexact"}
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def moving_pictures(num_frames: int, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """RGB pictures of a texture that drifts, so that no two frames are equal: uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    texture = generator.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    return [
        np.ascontiguousarray(np.roll(texture, (index, 2 * index), (0, 1))[:height, :width])
        for index in range(num_frames)
    ]


def numbered_pictures(num_frames: int, height: int = 64, width: int = 64) -> list[np.ndarray]:
    """RGB pictures whose every pixel is the frame's number times ten: which frame came out can be read off."""
    return [np.full((height, width, 3), 10 * number, np.uint8) for number in range(num_frames)]


def encode_video(
    pictures: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    container: str = "mp4",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    options: dict[str, str] | None = None,
    picture_format: str = "rgb24",
    ticks: Sequence[int] | None = None,
    prepare: Callable[[Any], None] | None = None,
) -> bytes:
    """The pictures as a video file. `ticks` are their presentation times in milliseconds; `prepare` gets the stream
    before the first is encoded."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=_SAME_BYTES) as output:
        stream: Any = output.add_stream(codec, rate=rate, options=options or default_options(codec))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixel_format
        if ticks is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if prepare is not None:
            prepare(stream)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format=picture_format)
            if ticks is not None:
                frame.pts, frame.time_base = ticks[index], Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def default_options(codec: str) -> dict[str, str]:
    """Without what makes x264 give other bytes each time (see `rspnet_platform.ingest.indexed_profile`)."""
    return {"mbtree": "0"} if codec == "libx264" else {}


def mux_again(
    data: bytes,
    container: str,
    *,
    first_packet: int = 0,
    num_packets: int | None = None,
    shift_ticks: int = 0,
    options: dict[str, str] | None = None,
    prepare: Callable[[Any], None] | None = None,
) -> bytes:
    """The video's packets in another file as they are, some left out, or at other times."""
    buffer = io.BytesIO()
    with (
        av.open(io.BytesIO(data), "r") as source,
        av.open(buffer, "w", format=container, options={**_SAME_BYTES, **(options or {})}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        if prepare is not None:
            prepare(stream)
        packets = [packet for packet in source.demux(video=0) if packet.size][first_packet:]
        for packet in packets[:num_packets]:
            assert packet.pts is not None
            assert packet.dts is not None
            packet.pts, packet.dts = packet.pts + shift_ticks, packet.dts + shift_ticks
            packet.stream = stream
            output.mux(packet)
    return buffer.getvalue()


def index_first(mp4: bytes) -> bytes:
    """The MP4 file with its index before its pictures, so that it opens when its end is missing."""
    boxes, position = {}, 0
    while position < len(mp4):
        size, kind = struct.unpack_from(">I4s", mp4, position)
        boxes[kind] = mp4[position : position + size]
        position += size
    index = bytearray(boxes[b"moov"])
    place = index.index(b"stco") + 8
    num_chunks = struct.unpack_from(">I", index, place)[0]
    for chunk in range(place + 4, place + 4 + 4 * num_chunks, 4):
        offset = struct.unpack_from(">I", index, chunk)[0] - mp4.index(boxes[b"mdat"])
        struct.pack_into(">I", index, chunk, len(boxes[b"ftyp"]) + len(index) + offset)
    return boxes[b"ftyp"] + bytes(index) + boxes[b"mdat"]


def decode_all(data: bytes) -> list[np.ndarray]:
    """The slow obvious reference: every frame of a file, decoded from the first to the last, as I420."""
    with av.open(io.BytesIO(data), "r") as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def decode_scaled(data: bytes, height: int, width: int) -> list[np.ndarray]:
    """As `decode_all`, of the best stream, in limited range and BT.601 and at a given size; rotation is not applied."""
    with av.open(io.BytesIO(data), "r") as container:
        stream: Any = container.streams.best("video")
        return [_scaled(frame, height, width) for frame in container.decode(stream)]


def _scaled(frame: Any, height: int, width: int) -> np.ndarray:
    is_full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    source_range = ColorRange.JPEG if is_full_range else ColorRange.MPEG
    scaled = frame.reformat(
        width, height, "yuv420p", None, Colorspace.ITU601, None, source_range, ColorRange.MPEG, threads=1
    )
    return scaled.to_ndarray()


def luma_psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Of two I420 pictures, in decibels; 99 where they are equal."""
    height = first.shape[0] * 2 // 3
    error = np.mean((first[:height].astype(float) - second[:height]) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
