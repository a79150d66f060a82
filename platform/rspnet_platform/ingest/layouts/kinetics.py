"""Kinetics-400, -600 and -700: `YOUTUBEID_000012_000022.mp4`, in any folders or none, with CSV lists of
`label,youtube_id,time_start,time_end,split`; or, without lists, folders `train/CLASS/`, `val/CLASS/`.

Many of the listed videos are gone from YouTube, so that nobody has all of them: those are left out and counted, and
are no refusals. The `source` of a clip is its YouTube id.
"""

import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.published_lists import ListedVideo, match_files, unique_videos
from rspnet_platform.ingest.layouts.source_files import SourceFiles, find_source_files
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import (
    SkippedFile,
    SkipReason,
    SourceListing,
    VideoSource,
    make_listing,
)
from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.split_names import ACCEPTED_SPLITS, common_split
from rspnet_platform.ingest.strict_csv import CsvRow, read_table

_COLUMNS = ("youtube_id", "time_start", "time_end", "split")
_CLIP_NAME = re.compile(r"(.{11})_\d{6}_\d{6}")


def list_kinetics(root: str, layout: SourceLayout) -> SourceListing:
    """The clips on disk with the labels and splits of the lists, or of their folders where no lists are given.

    ValueError with all faults of the lists; a clip with two labels is one.
    """
    files = find_source_files(root)
    if layout.annotations is None:
        return _list_split_folders(files)
    faults, notes = ListFaults(), []
    listed: list[ListedVideo] = []
    for uri in _list_uris(storage.resolve_uri(layout.annotations)):
        table = read_table(uri, columns=("label", *_COLUMNS), required=_COLUMNS, faults=faults)
        notes += [f"columns that are not read: {', '.join(table.ignored_columns)} ({uri})"] * bool(
            table.ignored_columns
        )
        listed += _clips(table.rows, faults)
    clips = unique_videos(listed, faults)
    return match_files(files, _with_files(files, clips), missing_is_normal=True, notes=notes)


def _list_uris(annotations: str) -> list[str]:
    """The file itself, or each CSV of a folder."""
    if not storage.is_folder(annotations):
        return [annotations]
    names = [name for name in storage.list_names(annotations) if name.endswith(".csv")]
    if not names:
        raise ValueError(f"{annotations} holds no CSV; accepted: the folder of train.csv, val.csv, test.csv, or a file")
    return [storage.join(annotations, name) for name in names]


def _clips(rows: Sequence[CsvRow], faults: ListFaults) -> list[ListedVideo]:
    """Entries whose `file` is the clip's name without an extension; the folder is not in the lists."""
    if not all(name in row.cells for row in rows[:1] for name in _COLUMNS):
        return []  # which is a fault of its own
    clips = (_clip(row, faults) for row in rows)
    return [clip for clip in clips if clip is not None]


def _clip(row: CsvRow, faults: ListFaults) -> ListedVideo | None:
    youtube_id, start, end, split_name = (row.value(name) for name in _COLUMNS)
    split = common_split(split_name)
    if not youtube_id or not _is_number(start) or not _is_number(end):
        faults.add(
            f"{row.place} has youtube_id {youtube_id!r}, time_start {start!r}, time_end {end!r};"
            " accepted: an id and two whole numbers of seconds"
        )
    elif split is None:
        faults.add(f"{row.place} has split {split_name!r}; accepted: {ACCEPTED_SPLITS}")
    else:
        return ListedVideo(
            file=f"{youtube_id}_{int(start):06d}_{int(end):06d}",
            place=row.place,
            label=row.value("label") or None,
            split=split,
            source=youtube_id,
        )
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


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
        split = common_split(folder)
        if split is None or not rest:
            unlisted.append(SkippedFile(path=name, reason=SkipReason.UNLISTED))
            continue
        clip = _CLIP_NAME.fullmatch(os.path.splitext(rest[-1])[0])
        videos.append(
            VideoSource(
                path=path,
                video_id=name,
                label=(rest[0] or None) if len(rest) > 1 else None,
                split=split,
                source=clip[1] if clip else None,
            )
        )
    if not videos:
        raise ValueError(
            f"{files.root} holds no video below train, val or test; accepted: folders train/CLASS and val/CLASS,"
            " or annotations: the CSV lists"
        )
    return make_listing(files.root, videos, files.refusals, [*files.others, *unlisted])
