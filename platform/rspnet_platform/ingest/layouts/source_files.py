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
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".f4v", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf",
    ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".rm",
    ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on


@dataclass(frozen=True, kw_only=True)
class SourceFiles:
    """`videos` maps the path relative to `root` to what opens the file; `others` are no videos by their names,
    and `refusals` are of names that are no text, which no table can hold."""

    root: str
    videos: Mapping[str, str]
    others: tuple[SkippedFile, ...]
    refusals: tuple[Refusal, ...]


def find_source_files(root: str) -> SourceFiles:
    """Every file at any depth. StorageError when a folder cannot be listed."""
    videos, others, refusals = {}, [], []
    for path, name in _files_below(root):
        is_hidden = any(part.startswith(".") for part in name.split("/"))
        printable = name.encode("utf-8", "backslashreplace").decode()
        if is_hidden or os.path.splitext(name)[1].lower() not in VIDEO_EXTENSIONS:
            others.append(SkippedFile(path=printable, reason=SkipReason.NOT_A_VIDEO))
        elif printable != name:
            detail = "the name is not UTF-8; accepted: the file under another name"
            refusals.append(Refusal(path=printable, reason=RefusalReason.UNREADABLE, detail=detail))
        else:
            videos[name] = path
    refusals.sort(key=lambda refusal: refusal.path)
    return SourceFiles(root=root, videos=videos, others=tuple(others), refusals=tuple(refusals))


def _files_below(root: str) -> Iterator[tuple[str, str]]:
    """(what opens the file, its path relative to `root`) for every file at any depth."""
    if storage.is_remote(root):
        for uri in storage.list_files_below(root):
            if not uri.endswith("/"):  # consoles of object stores make empty objects as folders
                yield uri, uri.removeprefix(root + "/")
        return
    visited = set()
    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=_raise):
        real = os.path.realpath(folder)
        if real in visited:  # a symlink back up would be walked for ever
            subfolders.clear()
            continue
        visited.add(real)
        for name in names:
            path = os.path.join(folder, name)
            yield path, os.path.relpath(path, root)


def _raise(error: OSError) -> None:
    """A folder that cannot be listed must not shrink the data set in silence."""
    raise storage.StorageError(f"cannot list {error.filename}: {error.strerror}") from error
