"""Kinetics-400, -600 and -700: `YOUTUBEID_000012_000022.mp4`, in any folders or none, with CSV lists of
`label,youtube_id,time_start,time_end,split`; or, without lists, folders `train/CLASS/`, `val/CLASS/`.

Many of the listed videos are gone from YouTube, so that nobody has all of them: those are left out and counted, and
are no refusals. The `source` of a clip is its YouTube id.
"""

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.published_lists import ListedVideo, match_files, read_text, unique_videos
from rspnet_platform.ingest.layouts.source_files import SourceFiles, find_source_files
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import (
    SkippedFile,
    SkipReason,
    SourceListing,
    VideoSource,
    make_listing,
)

_COLUMNS = ("youtube_id", "time_start", "time_end", "split")
_SPLITS = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
_CLIP_NAME = re.compile(r"(.{11})_\d{6}_\d{6}")


def list_kinetics(root: str, layout: SourceLayout) -> SourceListing:
    """The clips on disk with the labels and splits of the lists, or of their folders where no lists are given."""
    files = find_source_files(root)
    if layout.annotations is None:
        return _list_split_folders(files)
    clips = unique_videos(
        clip for uri in _list_uris(storage.resolve_uri(layout.annotations)) for clip in _read_clips(uri)
    )
    return match_files(files, _with_files(files, clips), missing_is_normal=True)


def _list_uris(annotations: str) -> list[str]:
    """The file itself, or each CSV of a folder."""
    if not storage.is_folder(annotations):
        return [annotations]
    names = [name for name in storage.list_names(annotations) if name.endswith(".csv")]
    if not names:
        raise ValueError(f"{annotations} holds no CSV; accepted: the folder of train.csv, val.csv, test.csv, or a file")
    return [storage.join(annotations, name) for name in names]


def _read_clips(uri: str) -> Iterator[ListedVideo]:
    """Entries whose `file` is the clip's name without an extension; the folder is not in the lists."""
    reader = csv.DictReader(io.StringIO(read_text(uri), newline=""), strict=True)
    if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or [])]:
        raise ValueError(
            f"{uri} has no column {', '.join(map(repr, missing))};"
            f" accepted: label,{','.join(_COLUMNS)}; found: {', '.join(reader.fieldnames or ['none'])}"
        )
    try:
        for row in reader:
            yield _clip(row, f"line {reader.line_num} of {uri}")
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num} of {uri} is not CSV: {error}") from error


def _clip(row: Mapping[str, str | None], place: str) -> ListedVideo:
    youtube_id, start, end, split = ((row[name] or "").strip() for name in _COLUMNS)
    if not youtube_id or not start.isdigit() or not end.isdigit():
        raise ValueError(
            f"{place} has youtube_id {youtube_id!r}, time_start {start!r}, time_end {end!r};"
            " accepted: an id and two whole numbers of seconds"
        )
    if split not in _SPLITS:
        raise ValueError(f"{place} has split {split!r}; accepted: {', '.join(_SPLITS)}")
    return ListedVideo(
        file=f"{youtube_id}_{int(start):06d}_{int(end):06d}",
        place=place,
        label=(row.get("label") or "").strip() or None,
        split=_SPLITS[split],
        source=youtube_id,
    )


def _with_files(files: SourceFiles, clips: Mapping[str, ListedVideo]) -> dict[str, ListedVideo]:
    """The clips by the file that each has on disk, in whatever folder; by its name where it has none.

    Of several copies of a clip the first by path is taken; the others stay unlisted.
    """
    copies: dict[str, list[str]] = defaultdict(list)
    for name in files.videos:
        copies[os.path.splitext(os.path.basename(name))[0]].append(name)
    found = {}
    for stem, clip in clips.items():
        file = min(copies[stem]) if stem in copies else stem + ".mp4"
        found[file] = ListedVideo(file=file, place=clip.place, label=clip.label, split=clip.split, source=clip.source)
    return found


def _list_split_folders(files: SourceFiles) -> SourceListing:
    videos, unlisted = [], []
    for name, path in files.videos.items():
        folder, *rest = name.split("/")
        if folder not in _SPLITS or not rest:
            unlisted.append(SkippedFile(path=name, reason=SkipReason.UNLISTED))
            continue
        clip = _CLIP_NAME.fullmatch(os.path.splitext(rest[-1])[0])
        videos.append(
            VideoSource(
                path=path,
                video_id=name,
                label=rest[0] if len(rest) > 1 else None,
                split=_SPLITS[folder],
                source=clip[1] if clip else None,
            )
        )
    if not videos:
        raise ValueError(
            f"{files.root} holds no video below {', '.join(_SPLITS)}; accepted: folders train/CLASS and val/CLASS,"
            " or annotations: the CSV lists"
        )
    return make_listing(files.root, videos, files.refusals, [*files.others, *unlisted])
