"""A real Ray, shared by the tests of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from rspnet_platform.tracking.client import tracking_client

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


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated MLflow database to copy: MLflow takes seconds to make one."""
    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    tracking_client(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """Two short videos."""
    paths = [tmp_path / f"{seed}.mp4" for seed in range(2)]
    for seed, path in enumerate(paths):
        path.write_bytes(encode_video(moving_pictures(12, 48, 64, seed=seed)))
    return paths
