"""An ingest that is killed at any moment goes on to the bytes of an undisturbed one, and redoes no finished shard."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from rspnet_platform.ingest import progress as progress_module
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.progress import ingest_progress
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.shards.row_groups import read_row_group

from tests.orchestration.test_ingest_pipeline import REPOSITORY, config_of, contents
from tests.videos import encode_video, moving_pictures

DRIVER = """
import os, signal, sys
from pathlib import Path
from rspnet_platform.ingest.pipeline import ingest
from tests.orchestration.test_ingest_pipeline import config_of
source, output, num_done = sys.argv[1:]
def progress(done, *_):
    print(done, flush=True)
    if done == int(num_done):
        os.kill(os.getpid(), signal.SIGKILL)
if __name__ == "__main__":
    ingest(config_of(Path(source), Path(output)), progress)
"""


def start_driver(source: Path, output: Path, *, die_at: int = -1) -> subprocess.Popen:
    """In a process of its own, which kills itself after `die_at` videos."""
    paths = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
    command = [sys.executable, "-c", DRIVER, str(source), str(output), str(die_at)]
    return subprocess.Popen(command, env=os.environ | paths, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)


def run_until_death(source: Path, output: Path, *, die_at: int) -> None:
    driver = start_driver(source, output, die_at=die_at)
    driver.communicate(timeout=120)
    assert driver.returncode == -signal.SIGKILL


@pytest.fixture
def listed_videos(video_folder: Path, tmp_path: Path) -> Path:
    """A CSV, which lists the same when files change or go."""
    names = sorted(str(path.relative_to(video_folder)) for path in video_folder.rglob("*.mp4"))
    (video_folder / "list.csv").write_text("\n".join(["path", *names]))
    ingest(config_of(video_folder / "list.csv", tmp_path / "undisturbed"))
    return video_folder / "list.csv"


@pytest.mark.slow
def test_killed_at_random_moments(tmp_path: Path) -> None:
    """SIGKILL at random moments, again and again: at the end the same bytes, and no process is left behind.

    A moment is a little after one of the first lines of progress, so that shards are still in the
    making however quick the machine is.
    """
    source = tmp_path / "in"
    source.mkdir()
    for index in range(48):
        (source / f"{index}.mp4").write_bytes(encode_video(moving_pictures(75, 96, 128, seed=index)))
    ingest(config_of(source, tmp_path / "undisturbed"))
    generator = np.random.default_rng(0)
    for _ in range(5):
        driver = start_driver(source, tmp_path / "out")
        assert driver.stdout is not None
        for _ in range(generator.integers(1, 5)):
            driver.stdout.readline()
        time.sleep(generator.uniform(0, 0.02))
        family = psutil.Process(driver.pid).children(recursive=True)
        driver.kill()
        assert driver.wait() == -signal.SIGKILL
        assert not psutil.wait_procs(family, timeout=30)[1]
    ingest(config_of(source, tmp_path / "out"))
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_finished_shards_are_not_made_again(listed_videos: Path, tmp_path: Path) -> None:
    """The files of the videos in them may even be gone."""
    run_until_death(listed_videos, tmp_path / "out", die_at=5)
    finished = sorted(path.name for path in (tmp_path / "out").glob("shard-*.parquet"))
    assert finished == ["shard-00000.parquet", "shard-00001.parquet"]
    rows = open_dataset(str(tmp_path / "undisturbed")).videos.to_pylist()
    for row in rows:
        if row["shard"] in finished:
            (listed_videos.parent / row["video_id"]).unlink()
    calls = []
    ingest(config_of(listed_videos, tmp_path / "out"), lambda done, *_: calls.append(done))
    assert calls == [4, 5, 6]
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_a_shard_without_its_record_is_overwritten(listed_videos: Path, tmp_path: Path) -> None:
    """What a crash between the two leaves, or a torn file of a file system that lost power, is nobody's video."""
    run_until_death(listed_videos, tmp_path / "out", die_at=3)
    (tmp_path / "out" / "shard-00001.parquet").write_bytes(b"orphan")
    ingest(config_of(listed_videos, tmp_path / "out"))
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("folder", ["", "versions"])
def test_half_a_file_of_a_killed_run_is_deleted(listed_videos: Path, tmp_path: Path, folder: str) -> None:
    """By the run that finishes, and by the same command once more where the data set was complete already."""
    run_until_death(listed_videos, tmp_path / "out", die_at=3)
    for _ in range(2):
        (tmp_path / "out" / folder).mkdir(exist_ok=True)
        (tmp_path / "out" / folder / ".abcdefgh.partial").write_bytes(b"half")
        ingest(config_of(listed_videos, tmp_path / "out"))
        assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_files_that_changed_meanwhile_are_stored_as_their_hashes_say(listed_videos: Path, tmp_path: Path) -> None:
    """Finished shards keep what they were made of, the rest is made of what is there now; each hash says which."""
    old = {row["video_id"]: row for row in open_dataset(str(tmp_path / "undisturbed")).videos.to_pylist()}
    run_until_death(listed_videos, tmp_path / "out", die_at=3)
    for index, video_id in enumerate(old):
        (listed_videos.parent / video_id).write_bytes(encode_video(moving_pictures(20, 64, 80, seed=100 + index)))
    ingest(config_of(listed_videos, tmp_path / "out"))
    rows = open_dataset(str(tmp_path / "out")).videos.to_pylist()
    assert sorted(row["video_id"] for row in rows) == sorted(old)
    changed = [row["sha256"] != old[row["video_id"]]["sha256"] for row in rows]
    assert changed == [False, False, True, True, True, True]
    for row, is_changed in zip(rows, changed, strict=True):
        stored = read_row_group(str(tmp_path / "out"), row["shard"], row["row_group"]).video(row["row"])
        assert (stored.video_id, stored.info.num_frames) == (row["video_id"], row["num_frames"])
        assert (row["num_frames"] == 20) == is_changed


def test_a_copy_of_a_video_in_a_finished_shard_is_still_found(listed_videos: Path, tmp_path: Path) -> None:
    """Duplicates are told by the hashes that the journal remembers."""
    rows = open_dataset(str(tmp_path / "undisturbed")).videos.to_pylist()
    run_until_death(listed_videos, tmp_path / "out", die_at=3)
    first, last = (listed_videos.parent / rows[position]["video_id"] for position in (0, -1))
    last.write_bytes(first.read_bytes())
    result = ingest(config_of(listed_videos, tmp_path / "out", max_refused_fraction=0.5))
    assert (result.num_videos, result.refused_by_reason) == (5, {"duplicate": 1})


def test_the_bar_begins_where_the_last_run_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off a terminal it is lines with what is done, refused and left; the rate is of what was done since the start."""
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 0.0)
    log = io.StringIO()
    with ingest_progress(log) as progress:
        progress(40, 100, 3)
        progress(41, 100, 4)
    first, second, *_ = log.getvalue().splitlines()
    assert "40/100" in first
    assert "3 refused" in first
    assert "?video/s" in first
    assert "41/100" in second
    assert "4 refused" in second
    assert "\r" not in log.getvalue()


def test_many_videos_a_second_do_not_fill_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a line at the start, one at the end, and in between one each time that the interval is over."""
    monkeypatch.setattr(progress_module, "SECONDS_BETWEEN_LINES", 3600.0)
    log = io.StringIO()
    with ingest_progress(log) as progress:
        for num_done in range(1000):
            progress(num_done, 1000, 0)
    assert len([line for line in log.getvalue().splitlines() if "video" in line]) == 2
