"""decord's own process: what dies in it, what it costs, and how long it lives."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import psutil
import pytest
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream import decord_process
from rspnet_platform.stream.decord_process import DecordChild, decord_pictures, end_child

from rspnet_core.sampling.clip_plan import VideoInfo
from tests.end_to_end.pretrain_job import ROOT
from tests.videos import encode_video, moving_pictures
from tests.waiting import wait_until

INFO = VideoInfo(video_index=0, num_frames=20, frames_per_second=25.0, height=64, width=80)
PICTURES = moving_pictures(20, 64, 80)
VIDEO = encode_video(PICTURES)


@pytest.fixture(autouse=True)
def _no_child_is_left() -> Iterator[None]:
    yield
    end_child()


def decode(video: bytes = VIDEO, timeout_seconds: float = 60) -> np.ndarray:
    return decord_pictures(video, INFO, [0, 7, 19], timeout_seconds=timeout_seconds)


def child_id() -> int:
    child = decord_process._child
    assert child is not None
    return child._process.pid


def test_one_child_serves_many_videos():
    """Starting it takes longer than decoding. The pictures are those that were encoded."""
    first = decode()
    child = child_id()
    assert first.shape == (3, 64, 80, 3)
    error = np.abs(first.astype(int) - np.stack([PICTURES[index] for index in (0, 7, 19)]))
    assert error.mean() < 16
    for _ in range(20):
        assert np.array_equal(decode(), first)
    assert child_id() == child


def test_a_crash_costs_its_video_alone():
    """AVI files with bytes cut out, some of which end decord with a segmentation fault; each is an error or pictures,
    and the video after it decodes."""
    expected = decode()
    whole = encode_video(PICTURES, codec="mpeg4", container="avi")
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(60):
        cut = int(generator.integers(0, len(whole) - 500))
        video = whole[:cut] + whole[cut + int(generator.integers(1, 500)) :]
        try:
            decode(video)
        except DamagedVideoError as error:
            errors.append(str(error))
    assert [error for error in errors if f"status {-signal.SIGSEGV}" in error]
    assert np.array_equal(decode(), expected)


def test_a_hang_is_ended_after_its_time():
    """A stopped process answers nobody; the next one does."""
    decode()
    stopped = child_id()
    os.kill(stopped, signal.SIGSTOP)
    with pytest.raises(DamagedVideoError, match=r"longer than 0\.5 seconds"):
        decode(timeout_seconds=0.5)
    assert not psutil.pid_exists(stopped)
    assert len(decode()) == 3


def test_a_child_that_is_killed_at_work_is_replaced():
    """As the kernel does when memory runs out."""
    decode()
    victim = child_id()
    os.kill(victim, signal.SIGSTOP)
    threading.Timer(0.3, os.kill, (victim, signal.SIGKILL)).start()
    with pytest.raises(DamagedVideoError, match=f"ended with status {-signal.SIGKILL}"):
        decode()
    assert len(decode()) == 3


def test_a_child_that_dies_between_videos_costs_nothing():
    """Nobody's video was in it."""
    decode()
    os.kill(child_id(), signal.SIGKILL)
    psutil.wait_procs([psutil.Process(child_id())], timeout=10)
    assert len(decode()) == 3


def test_the_child_ends_with_its_parent():
    """Killed with SIGKILL the parent can do nothing for it."""
    code = (
        "import sys; from tests.orchestration import test_decord_process as test; test.decode();"
        " print(test.child_id(), flush=True); sys.stdin.read()"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running()


def test_a_child_that_is_busy_ends_with_its_parent_too():
    """It hears of the end on another thread, here while the first still waits for work."""
    child = DecordChild()
    process = psutil.Process(child._process.pid)
    assert child._process.stdin is not None
    child._process.stdin.close()
    wait_until(lambda: not child.is_alive, "the child did not end")
    assert not process.is_running()
    child.end()


def test_a_missing_decord_is_said_once_and_blames_no_video(monkeypatch, tmp_path):
    """A run whose every video counted as damaged would tell nobody why."""
    (tmp_path / "decord.py").write_text("raise ImportError('libdecord.so does not load')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RuntimeError, match=r"accepted is an installed decord, or --data\.decoder pyav"):
        decode()


def test_other_pictures_than_asked_for_are_refused():
    """A child that a file has taken over could answer anything."""
    child = DecordChild()
    request = {"frame_indices": [0, 1], "num_frames": 20, "height": 64, "width": 80}
    with pytest.raises(DamagedVideoError, match=r"gave pictures of \[2, 64, 80, 3\], not \(1, 64, 80, 3\)"):
        child.pictures(request, VIDEO, (1, 64, 80, 3), 60)
    assert not child.is_alive
