"""Which videos an ingest is about: a folder of class folders, a flat folder, or a CSV; local or s3://."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rspnet_platform import storage
from rspnet_platform.ingest.csv_manifest import read_manifest
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
class VideoSource:
    """One input file: `path` opens it, `video_id` is its path relative to the source's root."""

    path: str
    video_id: str
    label: str | None = None
    split: str | None = None
    source: str | None = None


@dataclass(frozen=True, kw_only=True)
class SourceListing:
    """What was found, sorted by `video_id`. `refusals` are entries of a CSV that may not be opened at all,
    `skipped_files` those of a folder that are no videos by their names."""

    root: str
    videos: tuple[VideoSource, ...]
    refusals: tuple[Refusal, ...] = ()
    skipped_files: tuple[str, ...] = ()


def list_videos(source: str, source_root: str | None = None) -> SourceListing:
    """Lists without opening any video. The label of a video in a folder is the folder right below the root.

    ValueError when the source is missing, holds no video, or is a CSV without a column `path`.
    """
    uri = storage.resolve_uri(source)
    if storage.is_folder(uri):
        if source_root is not None:
            raise ValueError(f"source_root {source_root} goes with a CSV; {uri} is a folder and its own root")
        listing = _list_folder(uri)
    elif not storage.exists(uri):
        raise ValueError(f"source {uri} does not exist; accepted: a folder of videos or a CSV file")
    elif uri.lower().endswith(".csv"):
        listing = _list_csv(uri, source_root)
    else:
        raise ValueError(f"source {uri} is a file; accepted: a folder of videos or a .csv file")
    if not listing.videos and not listing.refusals:
        raise ValueError(
            f"source {uri} holds no videos ({len(listing.skipped_files)} other files);"
            f" accepted: files ending in {' '.join(sorted(VIDEO_EXTENSIONS))}, or a CSV with rows"
        )
    return listing


def _list_folder(root: str) -> SourceListing:
    videos, skipped = [], []
    for path, name in _files_below(root):
        parts = name.split("/")
        is_hidden = any(part.startswith(".") for part in parts)
        if is_hidden or os.path.splitext(name)[1].lower() not in VIDEO_EXTENSIONS:
            skipped.append(name)
        else:
            label = parts[0] if len(parts) > 1 else None
            videos.append(VideoSource(path=path, video_id=name, label=label))
    return SourceListing(root=root, videos=_sorted(videos), skipped_files=tuple(sorted(skipped)))


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


def _list_csv(uri: str, source_root: str | None) -> SourceListing:
    root = storage.resolve_uri(source_root) if source_root is not None else uri.rsplit("/", 1)[0]
    if source_root is not None and not storage.is_folder(root):
        raise ValueError(f"source_root {root} is not a folder; accepted: the folder that the paths start from")
    videos, refusals = [], []
    for row in read_manifest(uri):
        try:
            video_id = _path_inside(root, row.path)
        except ValueError as error:
            detail = f"line {row.line_number} of {uri}: {error}"
            refusals.append(Refusal(path=row.path, reason=RefusalReason.OUTSIDE_ROOT, detail=detail))
            continue
        path = storage.join(root, video_id)
        videos.append(VideoSource(path=path, video_id=video_id, label=row.label, split=row.split, source=row.source))
    return SourceListing(root=root, videos=_sorted(videos), refusals=tuple(refusals))


def _path_inside(root: str, path: str) -> str:
    """`path` relative to `root`; ValueError when it leads elsewhere, also through a symlink."""
    if "\0" in path:
        raise ValueError(f"the path {path!r} holds a zero byte")
    if storage.is_remote(root):
        relative = os.path.normpath(path.removeprefix(root + "/"))
        if "://" in path.removeprefix(root + "/") or relative.startswith(("..", "/")):
            raise ValueError(f"{path} is not below {root}")
        return relative
    if "://" in path:
        raise ValueError(f"{path} is an address of its own, not a path below {root}")
    relative = os.path.relpath(os.path.join(root, path), root)
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(root, relative))
    for inner, outer in ((os.path.join(root, relative), root), (real, real_root)):
        if os.path.commonpath([os.path.normpath(inner), outer]) != outer:
            raise ValueError(f"{path} leads to {os.path.normpath(inner)}, which is not below {outer}")
    return relative


def _sorted(videos: Iterable[VideoSource]) -> tuple[VideoSource, ...]:
    return tuple(sorted(videos, key=lambda video: video.video_id))
