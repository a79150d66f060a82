"""A CSV of one's own: see `ingest.csv_manifest` for its columns."""

import os

from rspnet_platform import storage
from rspnet_platform.ingest.csv_manifest import read_manifest
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource, make_listing
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.videos.refusal_reasons import RefusalReason


def list_csv(uri: str, source_root: str | None) -> SourceListing:
    """The rows of the CSV; paths that leave `source_root` (the CSV's own folder by default) are refused."""
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
    return make_listing(root, videos, refusals)


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
