"""Fixtures that several folders of tests share."""

from pathlib import Path

import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.shard_config import ShardConfig

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


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """24 videos of 20 frames in 6 row groups, labelled by class folder, without splits; the files lie beside it."""
    folder = tmp_path_factory.mktemp("small_dataset")
    for index in range(24):
        pictures = moving_pictures(20, 64, 80, seed=index)
        path = folder / "videos" / f"class_{index % 2}" / f"{index:02d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_video(pictures))
    config = IngestConfig(
        source=str(folder / "videos"),
        output=str(folder / "shards"),
        short_side=64,
        shards=ShardConfig(max_videos_per_row_group=4),
    )
    return open_dataset(ingest(config).output)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated MLflow database to copy: MLflow takes seconds to make one."""
    from rspnet_platform.tracking.client import tracking_client

    path = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    tracking_client(f"sqlite:///{path}").search_experiments()
    return path
