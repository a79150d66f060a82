"""Which way up a video is shown: all display matrices of quarter turns and mirrors, and the old tag."""

from typing import Any

import numpy as np
import pytest
from rspnet_platform.videos.orientation import Orientation
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import SHARED_DATA, encode_video, mux_again

ONE = 1 << 16
TURNS = {
    "upright": ((ONE, 0, 0, ONE), lambda p: p),
    "mirrored": ((-ONE, 0, 0, ONE), lambda p: p[:, ::-1]),
    "upside down": ((-ONE, 0, 0, -ONE), lambda p: p[::-1, ::-1]),
    "flipped": ((ONE, 0, 0, -ONE), lambda p: p[::-1]),
    "clockwise": ((0, ONE, -ONE, 0), lambda p: np.rot90(p, -1)),
    "counterclockwise": ((0, -ONE, ONE, 0), lambda p: np.rot90(p)),
    "transposed": ((0, ONE, ONE, 0), lambda p: p.transpose(1, 0, 2)),
    "transversed": ((0, -ONE, -ONE, 0), lambda p: p[::-1, ::-1].transpose(1, 0, 2)),
}


def corners() -> np.ndarray:
    """Each quarter of the picture has a colour of its own: [64, 96, 3]."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48], picture[:32, 48:], picture[32:, :48] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return picture


def upright_frame(video: bytes) -> np.ndarray:
    with open_video(video, short_side=64) as opened:
        return next(opened.frames)


@pytest.mark.parametrize(
    ("container", "name"), [*(("mp4", name) for name in TURNS), ("matroska", "upside down"), ("matroska", "clockwise")]
)
def test_every_display_matrix_is_applied(container: str, name: str) -> None:
    """A video that is shown turned or mirrored comes out as the same picture, turned by numpy, does."""
    (a, b, c, d), turn = TURNS[name]

    def prepare(stream: Any) -> None:
        stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))

    turned = upright_frame(encode_video([corners()] * 3, container=container, prepare=prepare))
    expected = upright_frame(encode_video([np.ascontiguousarray(turn(corners()))] * 3))
    assert turned.shape == expected.shape
    assert np.abs(turned.astype(int) - expected).mean() < 2


@pytest.mark.parametrize(("degrees", "name"), [(30, "upright"), (80, "counterclockwise"), (-100, "clockwise")])
def test_angles_between_are_rounded(degrees: int, name: str) -> None:
    """A camera that was held askew is turned by whole quarters alone."""
    video = encode_video([corners()] * 3, prepare=lambda stream: stream.set_display_rotation(degrees))
    expected = np.ascontiguousarray(TURNS[name][1](corners()))
    assert np.abs(upright_frame(video).astype(int) - upright_frame(encode_video([expected] * 3))).mean() < 2


@pytest.mark.parametrize(
    ("tag", "name"), [("90", "clockwise"), ("180", "upside down"), ("-90", "counterclockwise"), ("nonsense", "upright")]
)
def test_the_old_tag_counts_where_there_is_no_matrix(tag: str, name: str) -> None:
    """Files of older programs say in a tag by how many degrees, clockwise, they are to be turned."""

    def prepare(stream: Any) -> None:
        stream.metadata["rotate"] = tag

    video = mux_again(encode_video([corners()] * 3), "matroska", prepare=prepare)
    expected = np.ascontiguousarray(TURNS[name][1](corners()))
    assert np.abs(upright_frame(video).astype(int) - upright_frame(encode_video([expected] * 3))).mean() < 2


def test_a_matrix_without_direction_is_upright() -> None:
    """Zeros, as a damaged header may hold, turn nothing."""
    assert Orientation._of_matrix(np.zeros(9, np.int64)) == Orientation()


def test_frames_with_unknown_side_data_decode() -> None:
    """Stereo HEVC carries side data that PyAV has no name for; the video is taken all the same."""
    path = SHARED_DATA / "odd_videos" / "mp4ff__stereo_spatial.mp4"
    if not path.is_file():
        pytest.skip(f"no {path}")
    assert upright_frame(path.read_bytes()).shape == (96, 86)
