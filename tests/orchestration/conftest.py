"""A real Ray and a small real data set, shared by the tests that need them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.shard_config import ShardConfig
from tests.videos import encode_video, moving_pictures

NUM_VIDEOS = 24


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """24 videos of 20 frames in 6 row groups, labelled by class folder, without splits."""
    folder = tmp_path_factory.mktemp("small_dataset")
    for index in range(NUM_VIDEOS):
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
