"""Temporary files: deleted with their process, or after it by the next one."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rspnet_platform.temporary_folder import temporary_folder

ROOT = Path(__file__).resolve().parents[2]
PROCESS = f"""
import sys
sys.path.insert(0, {str(ROOT / "platform")!r})
from rspnet_platform.temporary_folder import temporary_folder
(temporary_folder() / "checkpoint").mkdir()
print(temporary_folder(), flush=True)
sys.stdin.readline()
"""


def start(folder: Path) -> tuple[subprocess.Popen, Path]:
    """A process that has a temporary folder below `folder` and waits for a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_killed_processes_have_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """However they died; that of one that lives, and what is of another kind, stays."""
    (tmp_path / "rspnet-of-mine").mkdir()
    alive, of_alive = start(tmp_path)
    killed, of_killed = start(tmp_path)
    killed.kill()
    killed.communicate()
    assert of_killed.exists()
    following, of_following = start(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "rspnet-of-mine", of_alive, of_following])
    assert (of_alive / "checkpoint").exists()
    for process in (alive, following):
        process.communicate("end\n")
    assert [path.name for path in tmp_path.iterdir()] == ["rspnet-of-mine"]


def name_own(found: multiprocessing.Queue) -> None:
    found.put(str(temporary_folder()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_folder_of_its_own() -> None:
    """At its end the parent's stays."""
    own = temporary_folder()
    fork = multiprocessing.get_context("fork")
    found = fork.Queue()
    child = fork.Process(target=name_own, args=(found,))
    child.start()
    assert found.get(timeout=60) != str(own)
    child.join()
    assert own.exists()
    assert temporary_folder() == own
