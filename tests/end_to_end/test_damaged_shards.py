"""Damage in shards, found by a real run: counted, listed with the videos' names, and too much of it stops the run."""

import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.checksum import row_checksum
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.row_groups import read_videos
from rspnet_platform.shards.schema import parquet_options
from rspnet_platform.shards.shard_config import ShardConfig

from tests.end_to_end.pretrain_job import PretrainJob, own_lines

pytestmark = pytest.mark.slow

NUM_VIDEOS, NUM_DAMAGED = 24, 6
ALLOWING_8, ALLOWING_3 = 0.3, 0.1


@pytest.fixture
def damaged(small_dataset: ShardedDataset, tmp_path: Path) -> tuple[str, set[str]]:
    """24 videos in six shards, and the ids of the damaged: a byte of one is flipped, the packets of another do not
    decode, and a shard of four is cut off."""
    videos = str(Path(small_dataset.uri).with_name("videos"))
    shards = ShardConfig(max_videos_per_row_group=4, shard_bytes=1)
    dataset = open_dataset(
        ingest(IngestConfig(source=videos, output=str(tmp_path / "shards"), short_side=64, shards=shards)).output
    )
    rows = dataset.videos.to_pylist()
    cut_off = rows[20]["shard"]
    assert cut_off not in (rows[3]["shard"], rows[9]["shard"])
    flip_a_byte(dataset, rows[3])
    make_undecodable(dataset, rows[9])
    path = Path(dataset.uri) / cut_off
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return dataset.uri, {row["video_id"] for row in rows if row["shard"] == cut_off or row["video_index"] in (3, 9)}


def flip_a_byte(dataset: ShardedDataset, row: dict) -> None:
    """In the middle of the video, on the disk."""
    [video] = read_videos(dataset.uri, row["shard"], row["row_group"], [row["row"]])
    path = Path(dataset.uri) / row["shard"]
    data = bytearray(path.read_bytes())
    data[data.index(bytes(video.data)) + len(video.data) // 2] ^= 0xFF
    path.write_bytes(data)


def make_undecodable(dataset: ShardedDataset, row: dict) -> None:
    """Zeros in place of its packets, under a checksum that fits them: as if the ingest had written it so."""
    [video] = read_videos(dataset.uri, row["shard"], row["row_group"], [row["row"]])
    path = Path(dataset.uri) / row["shard"]
    [table] = [pq.ParquetFile(path).read_row_group(0)]
    rows, zeros = table.to_pylist(), bytes(len(video.data))
    rows[row["row"]] |= {"video": zeros, "checksum": row_checksum(video.info, zeros, video.index)}
    with pq.ParquetWriter(path, table.schema, **parquet_options()) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=table.schema))


def listed(job: PretrainJob) -> dict[str, str]:
    """Video id and error, from the run's artifacts."""
    [path] = job.folder.rglob("damaged_videos.json")
    return {entry["video_id"]: entry["error"] for entry in json.loads(path.read_text())}


def mlflow_rows(job: PretrainJob, query: str) -> list[tuple]:
    with sqlite3.connect(job.database) as database:
        return database.execute(query).fetchall()


def test_damage_within_the_budget_is_counted_and_listed(damaged, tmp_path) -> None:
    """The run ends as others do, on what is whole. Its JSON counts the damaged videos, its metrics show them while it
    trains, and its artifacts name exactly them, with what is wrong."""
    uri, damaged_ids = damaged
    job = PretrainJob(folder=tmp_path / "job", dataset=uri)
    result = job.result(training__num_epochs=12, data__max_damaged_fraction=ALLOWING_8)
    assert result["num_damaged_videos"] == NUM_DAMAGED
    assert 12 * (NUM_VIDEOS - NUM_DAMAGED) - 8 < result["num_samples"] <= 12 * (NUM_VIDEOS - NUM_DAMAGED)
    errors = listed(job)
    assert set(errors) == damaged_ids
    assert len(damaged_ids) == NUM_DAMAGED
    kinds = [
        "checksum differs" if "checksum differs" in text else "cut off" if "cut off" in text else "frames are missing"
        for text in errors.values()
        if any(kind in text for kind in ("checksum differs", "cut off", "frames are missing"))
    ]
    assert sorted(kinds) == ["checksum differs", *["cut off"] * 4, "frames are missing"]
    counts = mlflow_rows(job, "select step, value from metrics where key = 'data/num_damaged_videos' order by step")
    assert counts[-1][1] == NUM_DAMAGED
    assert len(counts) > 5
    assert mlflow_rows(job, "select status from runs") == [("FINISHED",)]


def test_damage_over_the_budget_stops_the_run(damaged, tmp_path) -> None:
    """Both workers end after the same step, long before the last; one error says how many of how many, which, why,
    where the list is and what to change. With that changed, the same command goes on from there."""
    uri, damaged_ids = damaged
    job = PretrainJob(folder=tmp_path / "job", dataset=uri)
    long = {"scaling__num_workers": 2, "training__num_epochs": 60}
    done = job.run(data__max_damaged_fraction=ALLOWING_3, **long)
    assert done.returncode == 1
    assert not any("Traceback" in line for line in own_lines(done.stderr))
    assert "workers failed" not in done.stderr
    error = done.stderr[done.stderr.index("error: ") :]
    assert error.startswith("error: ")
    num_damaged = len(listed(job))
    assert 3 < num_damaged <= NUM_DAMAGED
    assert f"error: {num_damaged} of the 24 videos to train on are damaged" in error
    assert f"--data.max-damaged-fraction {ALLOWING_3} allows 3" in error
    assert sum(video_id in error for video_id in damaged_ids) == min(5, num_damaged)
    assert f"listed in {job.run_folder}/damaged_videos" in error
    assert job.stage() == "training"
    assert mlflow_rows(job, "select status from runs") == [("FAILED",)]
    [[failure]] = mlflow_rows(job, "select value from tags where key = 'failure'")
    assert f"{num_damaged} of the 24 videos" in failure
    [[last_step]] = mlflow_rows(job, "select max(step) from metrics where key = 'train/loss'")
    assert last_step < 100
    assert job.has_checkpoint()
    result = job.result(data__max_damaged_fraction=ALLOWING_8, **long)
    assert result["num_damaged_videos"] == NUM_DAMAGED
    assert 60 * (NUM_VIDEOS - NUM_DAMAGED) - 8 < result["num_samples"] <= 60 * (NUM_VIDEOS - NUM_DAMAGED)
    assert set(listed(job)) == damaged_ids
    assert sorted(job.losses())[-1] == result["num_steps"]
