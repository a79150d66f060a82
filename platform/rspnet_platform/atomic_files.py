"""Local files that are there as a whole or not at all, also after a power cut."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_SUFFIX = ".partial"


@contextlib.contextmanager
def replacing(path: str) -> Iterator[BinaryIO]:
    """A file to write that takes `path`'s place at the end of the block, on the disk itself; not if that raises."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary_path = tempfile.mkstemp(prefix=".", suffix=_SUFFIX, dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            yield temporary
            temporary.flush()
            os.fsync(temporary.fileno())
        os.chmod(temporary_path, 0o666 & ~_current_umask())
        os.replace(temporary_path, path)
    except BaseException:
        os.unlink(temporary_path)
        raise
    _sync_folder(folder)


def remove_partial_files(folder: str) -> None:
    """What writers that were killed have left at any depth; nobody may be writing there."""
    for path in Path(folder).rglob(f".*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def _current_umask() -> int:
    """mkstemp makes files that only their owner may read; a data set is as readable as any other file."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: str) -> None:
    """A rename outlives a power cut only once its folder is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
