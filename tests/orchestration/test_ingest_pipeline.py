"""A whole ingest: what it makes, that it resumes, that it refuses, and that its output is deterministic."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.shards.packet_reader import read_frames
from rspnet_platform.shards.row_groups import read_videos
from rspnet_platform.shards.shard_config import ShardConfig

from tests.videos import decode_all, encode_video, moving_pictures

REPOSITORY = Path(__file__).resolve().parents[2]
TINY_SHARDS = ShardConfig(max_videos_per_row_group=2, shard_bytes=1)


def config_of(source: Path, output: Path, **changes) -> IngestConfig:
    settings: dict[str, Any] = {"short_side": 32, "num_processes": 2, "shards": TINY_SHARDS}
    return IngestConfig(source=str(source), output=str(output), **settings | changes)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_class_folders_become_a_readable_data_set(video_folder: Path, tmp_path: Path) -> None:
    """Labels, places and counts are right, every stored frame is readable, nothing of the work is left."""
    (video_folder / "notes.txt").write_text("x")
    calls = []
    output = tmp_path / "out"
    result = ingest(config_of(video_folder, output), lambda *numbers: calls.append(numbers))
    assert result.to_json() == {
        "num_videos": 6,
        "num_added": 6,
        "num_already_present": 0,
        "num_refused": 0,
        "refused_by_reason": {},
        "num_skipped_files": 1,
        "num_missing_files": 0,
        "num_frames": 66,
        "output": str(output),
        "version": 1,
        "already_complete": False,
        "audit": str(output / "audit.html"),
        "audit_error": None,
    }
    assert calls == [(done, 6, 0) for done in range(7)]
    shards = [f"shard-{index:05d}.parquet" for index in range(3)]
    tables = ["skipped_files.parquet", "versions/dataset-00001.json", "videos.parquet"]
    assert sorted(contents(output)) == ["audit.html", "dataset.json", "refusals.parquet", *shards, *tables]
    dataset = open_dataset(str(output))
    assert dataset.description.class_names == ("down", "up")
    assert dataset.description.splits == {}
    rows = dataset.videos.to_pylist()
    assert [row["video_index"] for row in rows] == list(range(6))
    assert Counter(row["label"] for row in rows) == {"down": 3, "up": 3}
    for row in rows:
        (video,) = read_videos(str(output), row["shard"], row["row_group"], [row["row"]])
        assert (video.video_id, video.info.video_index) == (row["video_id"], row["video_index"])
        assert (video.info.num_frames, video.info.height) == (row["num_frames"], 32)
        frames = read_frames(video.data, video.index, range(row["num_frames"]))
        reference = decode_all(bytes(video.data))
        assert all(np.array_equal(frames[i], reference[i]) for i in range(row["num_frames"]))


def test_stored_pictures_are_the_sources(tmp_path: Path) -> None:
    """Frame i of the data set shows frame i of the source, up to the codec's error."""
    (tmp_path / "in").mkdir()
    pictures = moving_pictures(40, 64, 64)
    (tmp_path / "in" / "a.mp4").write_bytes(encode_video(pictures, options={"crf": "1"}))
    ingest(config_of(tmp_path / "in", tmp_path / "out", short_side=64))
    (video,) = read_videos(str(tmp_path / "out"), "shard-00000.parquet", 0, [0])
    frames = read_frames(video.data, video.index, range(40))
    original = decode_all((tmp_path / "in" / "a.mp4").read_bytes())
    distances = [[np.abs(f.astype(int) - o).mean() for o in original] for f in frames.values()]
    assert np.argmin(distances, axis=1).tolist() == list(range(40))


def test_a_csv_gives_splits_and_sources(video_folder: Path, tmp_path: Path) -> None:
    """Splits are counted; label and source travel into the rows."""
    rows = ["path,label,split,source", "down/down_0.mp4,d,train,s0", "up/up_0.mp4,u,test,s1"]
    (tmp_path / "list.csv").write_text("\n".join([*rows, "up/up_1.mp4,u,train,s1"]))
    output = tmp_path / "out"
    ingest(config_of(tmp_path / "list.csv", output, source_root=str(video_folder)))
    dataset = open_dataset(str(output))
    assert dataset.description.splits == {"test": 1, "train": 2}
    values = {row["video_id"]: (row["label"], row["source"]) for row in dataset.videos.to_pylist()}
    assert values["up/up_0.mp4"] == ("u", "s1")


def test_the_same_command_twice_does_nothing(video_folder: Path, tmp_path: Path) -> None:
    """A finished data set is found and left as it is, and the same numbers are reported."""
    (video_folder / "up" / "junk.mp4").write_bytes(b"junk")
    config = config_of(video_folder, tmp_path / "out", max_refused_fraction=0.5)
    first = ingest(config).to_json()
    before = contents(tmp_path / "out")
    second = ingest(config).to_json()
    assert second == first | {"already_complete": True}
    assert contents(tmp_path / "out") == before


def test_a_killed_ingest_goes_on_to_the_same_bytes(video_folder: Path, tmp_path: Path) -> None:
    """Killed without warning after the fourth video, it looks like no data set; resumed, it equals an
    uninterrupted one, whatever the number of processes, and does not repeat complete shards."""
    (video_folder / "up" / "junk.mp4").write_bytes(b"junk")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    ingest(config_of(video_folder, whole, max_refused_fraction=0.5))
    code = (
        "import os; from pathlib import Path; from rspnet_platform.ingest.pipeline import ingest\n"
        "from tests.orchestration.test_ingest_pipeline import config_of\n"
        f"config = config_of(Path({str(video_folder)!r}), Path({str(broken)!r}), max_refused_fraction=0.5)\n"
        "ingest(config, lambda done, *_: os._exit(9) if done == 5 else None)\n"
    )
    paths = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
    killed = subprocess.run([sys.executable, "-c", code], env=paths, cwd=REPOSITORY, timeout=60)
    assert killed.returncode == 9
    with pytest.raises(ValueError, match=r"not a data set: no dataset\.json; make one with python jobs/ingest"):
        open_dataset(str(broken))
    calls = []
    config = config_of(video_folder, broken, max_refused_fraction=0.5, num_processes=1)
    assert not ingest(config, lambda done, *_: calls.append(done)).already_complete
    assert len(calls) < 7
    assert contents(broken) == contents(whole)


def test_another_output_is_refused(video_folder: Path, tmp_path: Path) -> None:
    """Another data set, another ingest's remains and other files are never mixed into."""
    finished, unfinished, other = tmp_path / "finished", tmp_path / "unfinished", tmp_path / "other"
    ingest(config_of(video_folder, finished))
    with pytest.raises(ValueError, match="holds another data set: 6 videos"):
        ingest(config_of(video_folder, finished, short_side=48))
    with pytest.raises(ZeroDivisionError):
        ingest(config_of(video_folder, unfinished), lambda *_: print(1 // 0))
    with pytest.raises(ValueError, match="remains of another ingest"):
        ingest(config_of(video_folder, unfinished, seed=1))
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(ValueError, match=r"is not empty \(it holds thesis\.tex\)"):
        ingest(config_of(video_folder, other))
