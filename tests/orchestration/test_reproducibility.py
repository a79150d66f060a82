"""A decoder that leaves old memory in damaged pictures is found out by a second decode."""

import io
from typing import Literal

import av
import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.videos.limits import DamageTolerance
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.reproducibility import PictureChecksums, needs_second_decode

from tests.mutated_videos import mutated
from tests.videos import encode_video, moving_pictures

NONE, ANY = DamageTolerance(), DamageTolerance(max_damaged_fraction=1)


def with_a_picture_that_ends_early() -> bytes:
    """Motion JPEG in AVI, whose sixth picture says in its middle that it is over."""
    data = bytearray(
        encode_video(moving_pictures(12, 96, 128), codec="mjpeg", container="avi", pixel_format="yuvj420p")
    )
    with av.open(io.BytesIO(data), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    start, size = packets[5].pos or 0, packets[5].size
    middle = start + 8 + size // 2
    data[middle : middle + 2] = b"\xff\xd9"
    return bytes(data)


@pytest.mark.parametrize("profile", ["indexed", "original"])
def test_old_memory_in_a_picture_is_damage(profile: Literal["indexed", "original"]) -> None:
    """No flag tells that half of the picture is another frame's; the second decode does."""
    data = with_a_picture_that_ends_early()
    config = IngestConfig(source="-", output="-", short_side=48, profile=profile)
    with pytest.raises(VideoRefusedError, match="1 of 12 frames are another picture each time") as caught:
        transcode(io.BytesIO(data), config)
    assert caught.value.reason == RefusalReason.DAMAGED
    lenient = IngestConfig(
        source="-", output="-", short_side=48, profile=profile, tolerance=DamageTolerance(max_damaged_fraction=1 / 12)
    )
    assert transcode(io.BytesIO(data), lenient).num_frames == 12


def test_vp8_tells_of_data_that_ends_early() -> None:
    """This damage its decoder keeps silent about with one thread, and decodes to the same pictures each time."""
    options = {"cpu-used": "5", "deadline": "good"}
    whole = encode_video(moving_pictures(30, 96, 128), codec="libvpx", container="webm", options=options)
    config = IngestConfig(source="-", output="-", short_side=48)
    assert transcode(io.BytesIO(whole), config).num_frames == 30
    with pytest.raises(VideoRefusedError, match=r"damaged|decode_error"):
        transcode(io.BytesIO(mutated(whole, "splice", 39)), config)


def test_checksums_compare_every_picture() -> None:
    """One different picture, a missing and an additional one each count."""
    pictures = [np.full((6, 4), value, np.uint8) for value in range(5)]
    changed = [*pictures[:4], pictures[4] + 1]
    for again, is_same in ((pictures, True), (changed, False), (pictures[:4], False), ([*pictures, changed[0]], False)):
        checksums = PictureChecksums()
        assert all(a is b for a, b in zip(checksums.recorded(pictures), pictures, strict=True))
        checksums.compare(again, ANY)
        if is_same:
            checksums.compare(again, NONE)
        else:
            with pytest.raises(VideoRefusedError, match="1 of 5 frames are another picture each time"):
                checksums.compare(again, NONE)


def test_common_codecs_are_decoded_once() -> None:
    """The second decode costs time, and is for codecs that need it or that nobody measured."""
    assert not any(map(needs_second_decode, ("h264", "mpeg4", "vp9", "mpeg2video")))
    assert all(map(needs_second_decode, ("mjpeg", "vp8", "hevc", "vc1")))
