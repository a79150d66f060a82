"""A real Ray, shared by the tests of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def ray_of_two_cpus() -> Iterator[None]:
    """A local Ray as a job starts it."""
    from rspnet_platform import runtime

    runtime.connect(num_cpus=2)
    yield
    runtime.disconnect()


@pytest.fixture
def damage_folder(tmp_path: Path) -> str:
    return str(tmp_path / "damaged_videos")
