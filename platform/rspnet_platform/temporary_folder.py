"""This process's own temporary folder, and what dead ones have left of theirs.

A folder is told to be in use by a lock on a file in it, which the system lets go of however its process ends. Whoever
makes a folder first removes those whose lock is free.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

PREFIX, LOCK = "rspnet-", "in_use.lock"

_folders: dict[int, Path] = {}


def temporary_folder() -> Path:
    """The same one for the whole process, deleted at its end. Raises OSError where none can be made."""
    process = os.getpid()
    if process not in _folders:  # a forked child makes its own
        remove_folders_of_the_dead()
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{process}-"))
        _hold(folder)
        _folders[process] = folder
        atexit.register(_remove_own, process)
    return _folders[process]


def remove_folders_of_the_dead() -> None:
    """Of this user. One without a lock file is being made in this moment, or is not ours."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):
            if lock.stat().st_uid == os.getuid():
                _remove_if_free(lock)


def _hold(folder: Path) -> None:
    """Locked before it has its name, for who looks in between would take it for a dead one's. A disk that knows no
    locks leaves the folder to the end of this process alone: without a lock file nobody removes it."""
    unnamed = folder / f"{LOCK}.new"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)  # closed by the system, with the process
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(unnamed, folder / LOCK)


def _remove_if_free(lock: Path) -> None:
    descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(lock.parent, ignore_errors=True)
    finally:
        os.close(descriptor)


def _remove_own(process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(_folders.pop(process), ignore_errors=True)
