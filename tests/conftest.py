"""Fixtures that several folders of tests share."""

from pathlib import Path

import pytest

from tests.videos import SHARED_DATA, encode_video, moving_pictures


@pytest.fixture
def video_folder(tmp_path: Path) -> Path:
    """Two class folders of small videos: 3 of `down`, 3 of `up`, each of its own pictures."""
    folder = tmp_path / "videos"
    for class_index, label in enumerate(("down", "up")):
        (folder / label).mkdir(parents=True)
        for index in range(3):
            pictures = moving_pictures(10 + index, 64, 80, seed=10 * class_index + index)
            (folder / label / f"{label}_{index}.mp4").write_bytes(encode_video(pictures))
    return folder


@pytest.fixture
def shared_data() -> Path:
    """The folder of real videos; tests that need it skip where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no {SHARED_DATA}")
    return SHARED_DATA
