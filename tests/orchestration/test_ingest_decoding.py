"""Sequential decoding of any input: upright, scaled, limited range, and refusals with reasons."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.videos.limits import VideoLimits
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import encode_video, moving_pictures


def decode(data: bytes, short_side: int = 32, limits: VideoLimits | None = None) -> list[np.ndarray]:
    with open_video(data, short_side=short_side, limits=limits) as video:
        return list(video.frames)


def refusal_of(data: bytes, limits: VideoLimits | None = None) -> VideoRefusedError:
    config = IngestConfig(source="-", output="-", short_side=32, limits=limits or VideoLimits())
    with pytest.raises(VideoRefusedError) as caught:
        transcode(io.BytesIO(data), config)
    return caught.value


@pytest.mark.parametrize(
    ("height", "width", "planes_shape"),
    [(64, 64, (48, 32)), (64, 100, (48, 50)), (100, 64, (75, 32)), (20, 64, (48, 102))],
)
def test_the_short_side_is_scaled_to_even_sizes(height: int, width: int, planes_shape: tuple[int, int]) -> None:
    """The shorter side is what was asked for, the longer keeps the aspect ratio, both are even."""
    frames = decode(encode_video(moving_pictures(3, height, width)))
    assert [frame.shape for frame in frames] == [planes_shape] * 3


@pytest.mark.parametrize(
    ("codec", "container", "pixel_format"),
    [
        ("libx264", "mp4", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
        ("libx264", "mp4", "yuv444p"),
        ("png", "mov", "rgb24"),
    ],
)
def test_pictures_come_in_limited_range(codec: str, container: str, pixel_format: str) -> None:
    """White is 235 and red has the BT.601 chroma, whatever the range and format of the input."""
    for colour, expected in (((255, 255, 255), (235, 128, 128)), ((255, 0, 0), (81, 90, 240))):
        pictures = [np.full((64, 64, 3), colour, np.uint8)] * 2
        data = encode_video(pictures, codec=codec, container=container, pixel_format=pixel_format)
        planes = decode(data)[1]
        means = planes[:32].mean(), planes[32:40].mean(), planes[40:].mean()
        assert np.allclose(means, expected, atol=1.5)


def test_rotation_is_applied_as_decord_does(shared_data: Path) -> None:
    """A phone's 90-degree tag turns the picture the same way as another reader turns it."""
    decord = pytest.importorskip("decord")
    path = shared_data / "odd_videos" / "mp4parse-rust__video_rotation_90.mp4"
    turned = decord.VideoReader(str(path))[0].asnumpy()
    frame = decode(path.read_bytes(), short_side=60)[0]
    assert frame.shape == (150, 60)
    assert turned.shape == (100, 60, 3)
    rgb = av.VideoFrame.from_ndarray(frame, format="yuv420p").to_ndarray(format="rgb24")
    assert np.abs(rgb.astype(int) - turned).mean() < 5


def test_every_frame_is_counted_whatever_the_container_says() -> None:
    """B-frames and odd rates lose and double nothing."""
    data = encode_video(moving_pictures(37, 64, 64), rate=Fraction(30000, 1001), options={"bf": "3", "g": "7"})
    with open_video(data, short_side=32) as video:
        assert video.frames_per_second == Fraction(30000, 1001)
        assert len(list(video.frames)) == 37


@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        (VideoLimits(max_num_frames=4), "more than 4 frames"),
        (VideoLimits(max_pixels_per_frame=64 * 64 - 1), "64x64"),
        (VideoLimits(max_input_bytes=100), "accepted: up to 100"),
    ],
)
def test_limits_are_kept(limits: VideoLimits, detail: str) -> None:
    """Too many frames, pixels or bytes are refused as over_limit, with what was found."""
    error = refusal_of(encode_video(moving_pictures(5, 64, 64)), limits)
    assert error.reason == RefusalReason.OVER_LIMIT
    assert detail in error.detail


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    """A text that names another file is not followed."""
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(encode_video(moving_pictures(5, 64, 64)))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n#EXT-X-ENDLIST\n"
    for text in (playlist, f"ffconcat version 1.0\nfile '{secret}'\n"):
        assert refusal_of(text.encode()).reason == RefusalReason.UNREADABLE


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("odd_videos/mp4ff__cbcs.mp4", RefusalReason.ENCRYPTED),
        ("odd_videos/mp4ff__prog_8s_enc_dashinit.mp4", RefusalReason.ENCRYPTED),
        ("odd_videos/decord__corrupted.mp4", RefusalReason.DECODE_ERROR),
        ("odd_videos/mp4ff__opus.mp4", RefusalReason.NO_VIDEO_STREAM),
        ("odd_videos/mp4ff__2_init.mp4", RefusalReason.DECODE_ERROR),
        ("bad_videos/one_frame.mp4", RefusalReason.TOO_SHORT),
        ("bad_videos/random_bytes.mp4", RefusalReason.UNREADABLE),
        ("bad_videos/zero_bytes.avi", RefusalReason.UNREADABLE),
    ],
)
def test_real_files_are_refused_for_the_right_reason(shared_data: Path, name: str, reason: RefusalReason) -> None:
    """Encrypted, partial, audio-only, header-only, one-frame and junk files are told apart."""
    assert refusal_of((shared_data / name).read_bytes()).reason == reason
