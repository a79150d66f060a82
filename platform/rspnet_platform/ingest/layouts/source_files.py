"""The files below a source's root, told apart by their names alone; local or of an object store."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.source_listing import SkippedFile, SkipReason
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.videos.refusal_reasons import RefusalReason

# fmt: off
VIDEO_EXTENSIONS = frozenset({
    ".3g2", ".3gp", ".apng", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf",
    ".m1v", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogg", ".ogv", ".rm",
    ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """`videos` maps the path relative to `root` to what opens the file; `others` are no videos by their names,
    and `refusals` are of names that are no text, which no table can hold, and of folders that cannot be listed."""

    root: str
    videos: Mapping[str, str]
    others: tuple[SkippedFile, ...]
    refusals: tuple[Refusal, ...]


def find_source_files(root: str) -> SourceFiles:
    """Every file at any depth. StorageError when `root` cannot be listed."""
    videos, others, refusals = {}, [], []
    for path, name in _files_below(root, others, refusals):
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        printable = _printable(name)
        if is_hidden or os.path.splitext(name)[1].lower() not in VIDEO_EXTENSIONS:
            others.append(SkippedFile(path=printable, reason=SkipReason.NOT_A_VIDEO))
        elif printable != name:
            detail = "the name is not UTF-8; accepted: the file under another name"
            refusals.append(Refusal(path=printable, reason=RefusalReason.UNREADABLE, detail=detail))
        else:
            videos[name] = path
    refusals.sort(key=lambda refusal: refusal.path)
    return SourceFiles(root=root, videos=videos, others=tuple(others), refusals=tuple(refusals))


def _files_below(root: str, others: list[SkippedFile], refusals: list[Refusal]) -> Iterator[tuple[str, str]]:
    """(what opens the file, its path relative to `root`) for every file at any depth. Folders that are not read are
    entered into `others` and `refusals`; of two names of one folder the first counts, links after all else."""
    if storage.is_remote(root):
        for uri in storage.list_files_below(root):
            if not uri.endswith("/"):  # consoles of object stores make empty objects as folders
                yield uri, uri.removeprefix(root + "/")
        return

    def give_up(error: OSError) -> None:
        """A folder that cannot be listed must not shrink the data set in silence."""
        name = os.path.relpath(error.filename, root)
        if name == os.curdir:
            raise storage.StorageError(f"cannot list {root}: {error.strerror}") from error
        if any(part.startswith(".") for part in name.split("/")):
            others.append(SkippedFile(path=f"{_printable(name)}/", reason=SkipReason.UNREADABLE_HIDDEN_FOLDER))
        else:
            detail = f"the folder cannot be listed: {error.strerror}"
            refusals.append(Refusal(path=f"{_printable(name)}/", reason=RefusalReason.UNREADABLE, detail=detail))

    visited: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=give_up):
        real = os.path.realpath(folder)
        if real in visited:  # a symlink back up would be walked for ever
            others.append(
                SkippedFile(path=f"{_printable(os.path.relpath(folder, root))}/", reason=SkipReason.SAME_FOLDER)
            )
            subfolders.clear()
            continue
        visited.add(real)
        subfolders.sort(key=lambda name: (os.path.islink(os.path.join(folder, name)), name))
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root)


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
