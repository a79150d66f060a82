"""A CSV of one's own: see `ingest.csv_manifest` for its columns."""

import os

from rspnet_platform import storage
from rspnet_platform.ingest.csv_manifest import ManifestRow, read_manifest
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource, make_listing
from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.videos.refusal_reasons import RefusalReason


def list_csv(uri: str, source_root: str | None) -> SourceListing:
    """The rows of the CSV; paths that leave `source_root` (the CSV's own folder by default) are refused, and so are
    rows that say the same of a file again.

    ValueError that lists all faults, rows that contradict each other among them.
    """
    root = storage.resolve_uri(source_root) if source_root is not None else uri.rsplit("/", 1)[0]
    if source_root is not None and not storage.is_folder(root):
        raise ValueError(f"source_root {root} is not a folder; accepted: the folder that the paths start from")
    faults = ListFaults()
    manifest = read_manifest(uri, faults)
    videos, refusals = [], []
    first_of_file: dict[str, ManifestRow] = {}
    for row in manifest.rows:
        try:
            video_id, file = _path_inside(root, row.path)
        except ValueError as error:
            refusals.append(Refusal(path=row.path, reason=RefusalReason.OUTSIDE_ROOT, detail=f"{row.place}: {error}"))
            continue
        if (first := first_of_file.setdefault(file, row)) is row:
            path = f"{root.rstrip('/')}/{video_id}"  # as it is: a key may begin with a slash
            videos.append(
                VideoSource(path=path, video_id=video_id, label=row.label, split=row.split, source=row.source)
            )
        elif _says_the_same(first, row):
            detail = f"{row.place} says the same as {first.place} ({first.path})"
            refusals.append(Refusal(path=row.path, reason=RefusalReason.DUPLICATE, detail=detail))
        else:
            faults.add(f"{_describe(first)} and {_describe(row)} are of one file; accepted: one of them")
    faults.raise_if_any()
    return make_listing(root, videos, refusals, notes=manifest.notes)


def _says_the_same(first: ManifestRow, second: ManifestRow) -> bool:
    return (first.label, first.split, first.source) == (second.label, second.split, second.source)


def _describe(row: ManifestRow) -> str:
    return f"{row.place} ({row.path}, label {row.label!r}, split {row.split!r}, source {row.source!r})"


def _path_inside(root: str, path: str) -> tuple[str, str]:
    """(`path` relative to `root`, the file that it leads to); ValueError when that is elsewhere, also by a symlink.

    Keys of an object store are no paths: `a//b` and `a/./b` are keys of their own.
    """
    if "\0" in path:
        raise ValueError(f"the path {path!r} holds a zero byte")
    if storage.is_remote(root):
        key = _key_inside(root, path)
        return key, key
    if "://" in path:
        raise ValueError(f"{path} is an address of its own, not a path below {root}")
    relative = os.path.relpath(os.path.join(root, path), root)
    real_root = os.path.realpath(root)
    real = os.path.realpath(os.path.join(root, relative))
    for inner, outer in ((os.path.join(root, relative), root), (real, real_root)):
        if os.path.commonpath([os.path.normpath(inner), outer]) != outer:
            raise ValueError(f"{path} leads to {os.path.normpath(inner)}, which is not below {outer}")
    return relative, real


def _key_inside(root: str, path: str) -> str:
    key = path.removeprefix(root + "/")
    is_elsewhere = "://" in key or (key == path and key.startswith("/"))
    if is_elsewhere or os.path.normpath(key.lstrip("/")).split("/")[0] == "..":
        raise ValueError(f"{path} is not below {root}")
    return key
