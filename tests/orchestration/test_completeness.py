"""Videos that lack frames or are damaged are told apart from whole ones, and no whole one is lost."""

import io
import re
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import TranscodedVideo, transcode
from rspnet_platform.videos.limits import DamageTolerance
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import encode_video, index_first, moving_pictures

LENIENT = DamageTolerance(max_missing_fraction=1, max_damaged_fraction=1)


def taken(data: bytes, tolerance: DamageTolerance | None = None) -> TranscodedVideo:
    config = IngestConfig(source="-", output="-", short_side=32, tolerance=tolerance or DamageTolerance())
    return transcode(io.BytesIO(data), config)


def refusal_of(data: bytes, tolerance: DamageTolerance | None = None) -> VideoRefusedError:
    with pytest.raises(VideoRefusedError) as caught:
        taken(data, tolerance)
    return caught.value


def without_tail(data: bytes, kept_fraction: float) -> bytes:
    return data[: int(len(data) * kept_fraction)]


@pytest.mark.parametrize(
    ("codec", "container"),
    [("mpeg4", "avi"), ("libx264", "matroska"), ("libvpx-vp9", "webm"), ("flv", "flv"), ("mpeg4", "matroska")],
)
def test_a_part_of_a_file_is_incomplete(codec: str, container: str) -> None:
    """The header promises a number of frames or a duration that the rest of the file does not keep."""
    data = encode_video(moving_pictures(40, 96, 128), codec=codec, container=container)
    error = refusal_of(without_tail(data, 0.75))
    assert error.reason == RefusalReason.INCOMPLETE
    assert "accepted: up to 10.0% or 2 frames less" in error.detail
    assert taken(without_tail(data, 0.75), LENIENT).num_frames < 36


def test_a_part_of_an_mp4_is_incomplete() -> None:
    """Its index comes first and names packets that are not there; one that is cut through is an error as well."""
    data = index_first(encode_video(moving_pictures(40, 96, 128), options={"bf": "0", "mbtree": "0"}))
    assert taken(data).num_frames == 40
    with av.open(io.BytesIO(data), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    between = packets[30].pos or 0
    error = refusal_of(data[:between])
    assert (error.reason, "30 of 40" in error.detail) == (RefusalReason.INCOMPLETE, True)
    assert refusal_of(data[: between + 40]).reason == RefusalReason.DECODE_ERROR


def test_the_tolerance_decides() -> None:
    """A fifth of the frames missing is refused or taken as the setting says; two frames may always be missing."""
    data = encode_video(moving_pictures(40, 48, 64), codec="mpeg4", container="avi", options={"bf": "0"})
    promising_more = bytearray(data)
    place = data.index(b"strh") + 8 + 32
    assert struct.unpack_from("<I", data, place) == (40,)
    for num_promised, tolerance, is_taken in ((50, 0.19, False), (50, 0.2, True), (42, 0.0, True), (43, 0.0, False)):
        struct.pack_into("<I", promising_more, place, num_promised)
        limits = DamageTolerance(max_missing_fraction=tolerance)
        if is_taken:
            video = taken(bytes(promising_more), limits)
            assert (video.num_frames, video.facts.num_frames_promised) == (40, num_promised)
        else:
            error = refusal_of(bytes(promising_more), limits)
            assert error.reason == RefusalReason.INCOMPLETE
            assert f"of {num_promised / 25:.2f} promised seconds" in error.detail


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
def test_flipped_bits_in_the_pictures_are_damage(codec: str) -> None:
    """The decoder conceals them and returns all frames: only its flags tell."""
    data = bytearray(encode_video(moving_pictures(40, 96, 128), codec=codec, container="mov"))
    generator = np.random.default_rng(0)
    start = data.index(b"mdat") + 1000
    for place in generator.integers(start, data.index(b"moov"), 40):
        data[place] ^= 1 << int(generator.integers(8))
    error = refusal_of(bytes(data))
    assert error.reason == RefusalReason.DAMAGED
    assert re.search(r"\d+ of (39|40) frames are damaged; accepted: up to 0\.0%", error.detail)
    assert taken(bytes(data), LENIENT).num_frames in (39, 40)


def test_a_cut_packet_is_damage() -> None:
    """A file that lacks its last bytes misses no frame, but the last one is not whole."""
    data = encode_video(moving_pictures(40, 96, 128), codec="mpeg4", container="avi")
    cut = data[: data.index(b"idx1") - 20]
    assert refusal_of(cut).reason == RefusalReason.DAMAGED
    assert taken(cut, DamageTolerance(max_damaged_fraction=1 / 40)).num_frames == 40


def test_a_cut_packet_counts_where_the_decoder_says_nothing() -> None:
    """The last picture of a program stream decodes as if it were whole; the demultiplexer knows that it is not."""
    data = encode_video(moving_pictures(40, 96, 128), codec="mpeg2video", container="mpeg")
    assert taken(data).num_frames == 40
    assert refusal_of(data[:-3000]).reason == RefusalReason.DAMAGED


def test_joined_recordings_are_whole() -> None:
    """Two transport streams one after the other, as downloads are joined, are one video of all their frames."""
    part = encode_video(moving_pictures(30, 48, 64), container="mpegts")
    assert taken(part + part).num_frames == 60


def test_a_judgement_needs_the_end() -> None:
    """Who stops after some frames of a half file gets them: only the end shows what is missing."""
    data = without_tail(encode_video(moving_pictures(40, 48, 64), container="matroska"), 0.5)
    with open_video(data, short_side=32) as video:
        assert next(video.frames).shape == (48, 42)
        with pytest.raises(VideoRefusedError, match="incomplete"):
            list(video.frames)


@pytest.mark.slow
def test_no_whole_video_is_lost(shared_data: Path) -> None:
    """501 real clips whose headers promise up to 8 frames more than there are, and the published test files."""
    num_overstated = 0
    for folder, num_expected in (("actions", 381), ("interactions", 120)):
        paths = sorted((shared_data / folder).rglob("*.avi"))
        assert len(paths) == num_expected
        for path in paths:
            with path.open("rb") as file, open_video(file, short_side=16) as video:
                num_frames = sum(1 for _ in video.frames)
            promised = video.facts.num_frames_promised
            assert promised is not None
            assert 0 <= promised - num_frames <= 8
            num_overstated += promised > num_frames
    assert num_overstated == 500


@pytest.mark.parametrize("name", ["max_missing_fraction", "max_damaged_fraction"])
def test_a_tolerance_is_a_fraction(name: str) -> None:
    """The value and what would be accepted are named."""
    with pytest.raises(ValueError, match=rf"{name} is 1\.5; accepted: 0 to 1"):
        DamageTolerance(**{name: 1.5})
