"""Videos that want more than their share: long ones stream, and no file gets memory or time without limit."""

import io
import multiprocessing
import re
import resource
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import av
import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.shards.dataset import read_table
from rspnet_platform.videos.limits import VideoLimits
from rspnet_platform.videos.refusal_reasons import VideoRefusedError

from tests.videos import encode_video, moving_pictures

MEBIBYTE = 1 << 20


def long_video(num_frames: int) -> bytes:
    """Pictures of 16x16 that differ from frame to frame."""
    picture = np.random.default_rng(0).integers(0, 256, (24, 16), np.uint8)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=30, options={"g": "100"})
        stream.height = stream.width = 16
        stream.pix_fmt = "yuv420p"
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, 1), format="yuv420p")
            frame.pts = index
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def grown_by(work: Callable[[bytes], object], data: bytes) -> tuple[object, int]:
    """(what it returns, by how many bytes the peak of this process's memory grew)."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = work(data)
    return result, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def measured_in_a_child(work: Callable[[bytes], object], data: bytes) -> tuple[object, int]:
    """A process of its own: this one's peak is somewhere else already."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(grown_by, work, data).result()


def transcode_as_indexed(data: bytes) -> tuple[int, int]:
    video = transcode(io.BytesIO(data), IngestConfig(source="-", output="-", short_side=64))
    return video.num_frames, len(video.data)


def transcode_as_original(data: bytes) -> tuple[int, int]:
    config = IngestConfig(source="-", output="-", short_side=64, profile="original")
    video = transcode(io.BytesIO(data), config)
    return video.num_frames, len(video.data)


def reason_of_refusal(data: bytes) -> str:
    try:
        transcode(io.BytesIO(data), IngestConfig(source="-", output="-", short_side=64))
    except VideoRefusedError as error:
        return str(error.reason)
    return "taken"


@pytest.mark.slow
@pytest.mark.parametrize("work", [transcode_as_indexed, transcode_as_original])
def test_100000_frames_stream(work: Callable[[bytes], object]) -> None:
    """Memory holds the bytes that come in and go out, twice, not the 585 MiB of pictures."""
    data = long_video(100_000)
    (num_frames, num_bytes), growth = measured_in_a_child(work, data)  # pyright: ignore[reportGeneralTypeIssues]
    assert num_frames == 100_000
    assert growth < 2 * (len(data) + num_bytes) + 64 * MEBIBYTE
    assert growth < 300 * MEBIBYTE


def test_the_default_limit_of_frames() -> None:
    """An hour of 30 frames a second is taken; two hours are refused, and decoding stops at the limit."""
    limit = VideoLimits().max_num_frames
    assert 60 * 60 * 30 < limit < 120 * 60 * 30
    config = IngestConfig(source="-", output="-", short_side=16, limits=VideoLimits(max_num_frames=50))
    with pytest.raises(VideoRefusedError, match="more than 50 frames; accepted: up to that"):
        transcode(io.BytesIO(long_video(60)), config)


def png_of(width: int, height: int) -> bytes:
    """A black picture, in a few thousandths of the bytes that it decodes to."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    compressor = zlib.compressobj(9)
    rows = b"".join(compressor.compress(bytes(1 + width)) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_bomb_is_not_unpacked() -> None:
    """A file of 140 kB that would decode to 137 MiB is refused before it does."""
    bomb = png_of(12_000, 12_000)
    assert len(bomb) < MEBIBYTE // 4
    reason, growth = measured_in_a_child(reason_of_refusal, bomb)
    assert reason in ("over_limit", "decode_error")
    assert growth < 80 * MEBIBYTE


def test_a_picture_that_grows_in_mid_stream_is_not_unpacked() -> None:
    """A small first picture opens the door for none beyond the limit."""
    small, large = (
        encode_video(moving_pictures(3, *size), container="h264", options={"bf": "0", "mbtree": "0"})
        for size in ((64, 64), (512, 512))
    )
    config = IngestConfig(source="-", output="-", short_side=32, limits=VideoLimits(max_pixels_per_frame=100 * 100))
    with pytest.raises(VideoRefusedError) as caught:
        transcode(io.BytesIO(small + large), config)
    assert caught.value.reason in ("over_limit", "decode_error")
    assert transcode(io.BytesIO(small), config).num_frames == 3


@pytest.mark.slow
def test_a_video_that_takes_too_long_costs_itself_alone(video_folder: Path, tmp_path: Path) -> None:
    """The time limit ends the child that decodes it; the others are taken."""
    (video_folder / "up" / "long.mkv").write_bytes(long_video(60_000))
    config = IngestConfig(
        source=str(video_folder),
        output=str(tmp_path / "out"),
        short_side=256,
        timeout_seconds=10,
        max_refused_fraction=0.5,
        num_processes=2,
        run_on="local",
    )
    result = ingest(config)
    assert (result.num_videos, result.refused_by_reason) == (6, {"timed_out": 1})
    (refusal,) = read_table(f"{config.output}/refusals.parquet").to_pylist()
    assert refusal["path"] == "up/long.mkv"
    assert re.fullmatch(
        r"no result after \d+ seconds; accepted: timeout_seconds, which is 10( and the \d+ earned by decoding)?",
        refusal["detail"],
    )
