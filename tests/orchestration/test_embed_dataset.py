"""A data set's embeddings on a real Ray: each video once, whatever is damaged or interrupted."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rspnet_platform.inference.dataset_features import embed_dataset
from rspnet_platform.inference.embedding_config import EmbedConfig
from rspnet_platform.inference.embedding_job import Embedding
from rspnet_platform.inference.encoder_files import build_seeded, save_encoder
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.damage import DamageLedger

from tests.damaged_dataset import damage_videos
from tests.small_encoder import CARD
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
CARD_OF_64 = replace(CARD, input=replace(CARD.input, short_side=64))

pytestmark = pytest.mark.usefixtures("ray_of_two_cpus")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Trained, as far as its card says."""
    return str(save_encoder(tmp_path_factory.mktemp("model"), build_seeded("tiny", 3), CARD_OF_64)[0])


@pytest.fixture(scope="module")
def whole(small_dataset: ShardedDataset, model: str, ray_of_two_cpus: None, tmp_path_factory) -> Path:  # noqa: ARG001
    """All 24 videos, in parts of 10, 10 and 4."""
    output = tmp_path_factory.mktemp("embeddings") / "whole"
    result = embed(model, small_dataset.uri, output)
    assert (result["num_videos"], result["num_damaged"], result["feature_dim"]) == (24, 0, 128)
    assert (result["num_parts"], result["num_parts_already_there"]) == (3, 0)
    return output


def embed(model: str, data: str, output: Path, **changes: Any) -> dict[str, Any]:
    """As the job does, on the Ray that is there."""
    config = EmbedConfig(model=model, data=data, output=str(output), num_videos_per_part=10)
    embedding = Embedding.settle(replace(config, **changes)).begin()
    if embedding.left:
        embedding.compute()
    return embedding.finish()


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(output: Path) -> tuple[list[int], np.ndarray]:
    """Video indices and vectors of all parts."""
    rows = [row for path in sorted(output.glob("part-*.parquet")) for row in pq.read_table(path).to_pylist()]
    return [row["video_index"] for row in rows], np.array([row["embedding"] for row in rows], np.float32)


def test_damaged_videos_are_listed(small_dataset: ShardedDataset, model: str, whole: Path, tmp_path: Path) -> None:
    """All others are embedded once, as without them; a second start finds all done and changes nothing."""
    damaged = damage_videos(small_dataset, tmp_path / "damaged", {3, 17})
    result = embed(model, damaged, tmp_path / "out")
    indices, vectors = read(tmp_path / "out")
    assert sorted(indices) == [index for index in range(24) if index not in (3, 17)]
    undamaged = dict(zip(*read(whole), strict=True))
    np.testing.assert_array_equal(vectors, [undamaged[index] for index in indices])
    record = json.loads((tmp_path / "out" / "embeddings.json").read_text())
    ids = small_dataset.videos.sort_by("video_index")["video_id"].to_pylist()
    assert [(each["video_index"], each["video_id"]) for each in record["damaged"]] == [(3, ids[3]), (17, ids[17])]
    assert all("checksum differs" in each["error"] for each in record["damaged"])
    assert (result["num_videos"], result["num_damaged"]) == (record["num_videos"], record["num_damaged"]) == (22, 2)
    before = files_of(tmp_path / "out")
    assert embed(model, damaged, tmp_path / "out") == result | {"num_parts_already_there": 3}
    assert files_of(tmp_path / "out") == before


@pytest.mark.slow
def test_a_vector_is_of_its_video_alone(small_dataset: ShardedDataset, model: str, whole: Path, tmp_path: Path) -> None:
    """However parts and blocks are cut, with one encoder or two at work, and as retrieval has it."""
    embed(model, small_dataset.uri, tmp_path / "out", num_videos_per_part=7, num_actors=2, cpus_per_decode_task=0.25)
    features = embed_dataset(
        small_dataset,
        np.arange(24),
        {"one": build_seeded("tiny", 3)},
        CARD_OF_64.input,
        damage=DamageLedger(uri=str(tmp_path / "ledger")),
        cpus_per_decode_task=0.5,
        use_gpu=False,
    )
    expected, cut_otherwise = (dict(zip(*read(output), strict=True)) for output in (whole, tmp_path / "out"))
    assert sorted(cut_otherwise) == features.video_indices.tolist() == list(range(24))
    for index, vector in enumerate(features.features["one"]):
        np.testing.assert_array_equal(expected[index], cut_otherwise[index])
        np.testing.assert_array_equal(expected[index], vector)


def test_only_missing_parts_are_computed(
    small_dataset: ShardedDataset, model: str, whole: Path, tmp_path: Path
) -> None:
    """The others keep their files; the bytes are those of an undisturbed job."""
    output = tmp_path / "out"
    shutil.copytree(whole, output)
    (output / "part-00001.parquet").unlink()
    kept = (output / "part-00000.parquet").stat().st_ino
    result = embed(model, small_dataset.uri, output)
    assert (result["num_parts"], result["num_parts_already_there"]) == (3, 2)
    assert files_of(output) == files_of(whole)
    assert (output / "part-00000.parquet").stat().st_ino == kept


@pytest.mark.slow
def test_a_killed_job_goes_on(small_dataset: ShardedDataset, tmp_path: Path) -> None:
    """SIGKILL to the job and all of its processes after the first part; the same command leaves the same bytes."""
    paths = {name: tmp_path / name / "out" for name in ("killed", "undisturbed")}
    commands = {name: job_command(small_dataset, path) for name, path in paths.items()}
    environment = os.environ | {"RSPNET_HOME": str(tmp_path)}
    process = subprocess.Popen(
        commands["killed"],
        start_new_session=True,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: (paths["killed"] / "part-00000.parquet").exists(), "no part was written")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    num_parts = len(list(paths["killed"].glob("part-*.parquet")))
    assert 1 <= num_parts < 24, "the job was over before it was killed"
    results = {}
    for name, command in commands.items():
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-4000:]
        results[name] = json.loads(done.stdout.splitlines()[-1])
    assert results["killed"]["num_parts_already_there"] == num_parts
    assert results["undisturbed"]["num_parts_already_there"] == 0
    assert files_of(paths["killed"]) == files_of(paths["undisturbed"])
    assert sorted(read(paths["killed"])[0]) == list(range(24))


def job_command(dataset: ShardedDataset, output: Path) -> list[str]:
    """A part a video, so that there is time between the first and the last."""
    options = {"model": "random:tiny", "data": dataset.uri, "output": output, "num-videos-per-part": 1}
    flags = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return [sys.executable, str(ROOT / "jobs" / "embed.py"), *flags]
