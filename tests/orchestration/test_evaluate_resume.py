"""An evaluation that is killed or fails goes on where it was, and leaves nothing behind once its numbers are there."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rspnet_platform import runtime
from rspnet_platform.inference import frozen_evaluation
from rspnet_platform.inference.frozen_evaluation import evaluate_frozen
from rspnet_platform.inference.frozen_evaluation_config import ClipChanges, EvaluationData, FrozenEvaluationConfig
from rspnet_platform.inference.unread_videos import NO_REASON
from rspnet_platform.inference.video_parts import parts_of
from rspnet_platform.shards.dataset import ShardedDataset

from tests.damaged_dataset import damage_videos
from tests.labelled_dataset import make_labelled_dataset
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROTOCOLS = ["retrieval", "coclr", "linear_probe"]


@pytest.fixture(scope="module")
def labelled_dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    """32 training and 8 test videos of two colours."""
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled"))


def first_part(dataset: ShardedDataset, num_videos_per_part: int) -> list[int]:
    return parts_of(dataset, dataset.videos["video_index"].to_numpy(), num_videos_per_part)[0].tolist()


def job_command(data: str) -> list[str]:
    """In parts so small that there is time between the first and the last."""
    flags = {"model": "random:tiny", "data.shards": data, "num-videos-per-part": 2, "num-random-encoders": 1}
    flags |= {"clips.num-frames-per-clip": 4, "clips.crop-size": 32}
    command = [sys.executable, str(ROOT / "jobs" / "evaluate.py"), "--no-tracking", "--protocol", *PROTOCOLS]
    return command + [text for key, value in flags.items() for text in (f"--{key}", str(value))]


def environment(home: Path) -> dict[str, str]:
    return os.environ | {"RSPNET_HOME": str(home)}


def files_of_parts(home: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of writing of each part that is there now."""
    found = {}
    for path in home.glob("evaluations/*/*/part-*.parquet"):
        try:
            found[str(path.relative_to(home))] = path.stat().st_ino, path.stat().st_mtime_ns
        except FileNotFoundError:
            continue  # the job has just ended
    return found


def kill_after_the_first_part(command: list[str], home: Path) -> None:
    """SIGKILL to the job and all of its processes."""
    process = subprocess.Popen(
        command, start_new_session=True, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: files_of_parts(home), "no part was written", timeout_seconds=600)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def run_watched(command: list[str], home: Path) -> tuple[dict[str, Any], str, list[dict[str, tuple[int, int]]]]:
    """What the job prints, what it says, and which parts were there at different times."""
    out, err = home / "stdout", home / "stderr"
    seen: list[dict[str, tuple[int, int]]] = []
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(command, env=environment(home), stdout=stdout, stderr=stderr)

        def is_over() -> bool:
            if (now := files_of_parts(home)) and (not seen or now != seen[-1]):
                seen.append(now)
            return process.poll() is not None

        wait_until(is_over, "the job did not end", timeout_seconds=600)
    assert process.returncode == 0, err.read_text()[-4000:]
    return json.loads(out.read_text().splitlines()[-1]), err.read_text(), seen


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(labelled_dataset: ShardedDataset, tmp_path: Path):
    """SIGKILL after the first part, in which a video is damaged: the same command leaves the finished parts as they
    are, computes the others, has the numbers and the damage of an undisturbed one, and deletes the parts."""
    damaged = first_part(labelled_dataset, 2)[0]
    command = job_command(damage_videos(labelled_dataset, tmp_path / "damaged", [damaged]))
    homes = {name: tmp_path / name for name in ("killed", "undisturbed")}
    for home in homes.values():
        home.mkdir()
    kill_after_the_first_part(command, homes["killed"])
    finished = files_of_parts(homes["killed"])
    assert 1 <= len(finished) < 40, "the job was over before it was killed"
    result, said, seen = run_watched(command, homes["killed"])
    assert f"going on where this evaluation was interrupted: {len(finished)} of 40 parts" in said
    assert len(seen) > 1
    assert all(finished.items() <= at_a_time.items() for at_a_time in seen if len(at_a_time) >= len(finished))
    undisturbed, said, _ = run_watched(command, homes["undisturbed"])
    assert "going on" not in said
    assert result == undisturbed
    [listed] = result["damaged_videos"]
    assert (listed["video_index"], listed["error"] != NO_REASON) == (damaged, True)
    assert all(protocol["num_damaged_videos"] == 1 for protocol in result["protocols"].values())
    assert all(os.listdir(home / "evaluations") == [] for home in homes.values())


@pytest.fixture
def ray_that_stays(ray_of_two_cpus: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Several evaluations share it: starting Ray is what takes their time."""
    monkeypatch.setattr(runtime, "disconnect", lambda: None)


@pytest.mark.usefixtures("ray_that_stays")
def test_what_fails_is_not_computed_again(
    labelled_dataset: ShardedDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """Too many damaged videos: once they are mended, their part alone is read again. A tracking server that goes away
    at the end: nothing is. When all is well nothing is left, and the same is evaluated anew."""
    monkeypatch.setenv("RSPNET_HOME", str(tmp_path / "home"))
    data = Path(damage_videos(labelled_dataset, tmp_path / "damaged", first_part(labelled_dataset, 8)[:2]))
    config = FrozenEvaluationConfig(
        model="random:tiny",
        data=EvaluationData(shards=str(data)),
        clips=ClipChanges(num_frames_per_clip=4, crop_size=32),
        num_random_encoders=1,
        is_tracked=False,
        num_videos_per_part=8,
    )
    with pytest.raises(ValueError, match=r"2 of the 40 videos .* allows 1"):
        evaluate_frozen(config)
    assert len(files_of_parts(tmp_path / "home")) == 5
    shutil.copytree(labelled_dataset.uri, data, dirs_exist_ok=True)
    with monkeypatch.context() as patched:
        patched.setattr(frozen_evaluation, "track", failing_track)
        with pytest.raises(ConnectionError):
            evaluate_frozen(config)
    assert "interrupted: 4 of 5 parts" in capsys.readouterr().err
    result = evaluate_frozen(config)
    assert "interrupted: 5 of 5 parts" in capsys.readouterr().err
    assert result["damaged_videos"] == []
    assert os.listdir(tmp_path / "home" / "evaluations") == []
    assert evaluate_frozen(config) == result
    assert "interrupted" not in capsys.readouterr().err


def failing_track(*_: object) -> dict[str, Any]:
    raise ConnectionError("no answer from the tracking store")
