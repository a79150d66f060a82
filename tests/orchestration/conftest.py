"""A real Ray, shared by the tests of a file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from rspnet_platform.ingest.pipeline import ingest

from tests.ingest_on_ray import cluster_config
from tests.videos import encode_video, moving_pictures


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


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """Two short videos."""
    paths = [tmp_path / f"{seed}.mp4" for seed in range(2)]
    for seed, path in enumerate(paths):
        path.write_bytes(encode_video(moving_pictures(12, 48, 64, seed=seed)))
    return paths


@pytest.fixture(scope="session")
def many_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """44 so large that a chunk of 8 is more than Ray sends along with a task's reply; 4 of them broken, and a copy."""
    folder = tmp_path_factory.mktemp("many_videos")
    for index in range(44):
        data = encode_video(moving_pictures(60, 128, 160, seed=index)) if index % 11 else b"junk"
        (folder / f"{index:03d}.mp4").write_bytes(data)
    shutil.copy(folder / "001.mp4", folder / "copy.mp4")
    return folder


@pytest.fixture(scope="session")
def ingested_locally(many_videos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of the data set that this machine makes of them without Ray."""
    output = tmp_path_factory.mktemp("ingested_locally") / "out"
    ingest(cluster_config(many_videos, output, run_on="local"))
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}
