"""Reading the lists that come with a published data set, and matching them with the files on disk."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rspnet_platform.ingest.layouts.source_files import SourceFiles
from rspnet_platform.ingest.layouts.source_listing import (
    SkippedFile,
    SkipReason,
    SourceListing,
    VideoSource,
    make_listing,
)
from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.list_text import read_text
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.videos.refusal_reasons import RefusalReason


@dataclass(frozen=True, kw_only=True)
class ListedVideo:
    """One entry of the lists. `file` is the path relative to the root; `place` is the line that says so."""

    file: str
    place: str
    label: str | None
    split: str
    source: str | None = None


def read_json_list(uri: str) -> Any:
    """The parsed file. ValueError when it is missing, not JSON, or an object in it has a key twice."""
    try:
        return json.loads(read_text(uri), object_pairs_hook=lambda pairs: _object(pairs, uri))
    except json.JSONDecodeError as error:
        raise ValueError(f"{uri} is not valid JSON: {error}") from error


def _object(pairs: list[tuple[str, Any]], uri: str) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"{uri} has the key {twice[0]!r} twice in one object; accepted: each key once")
    return value


def unique_videos(listed: Iterable[ListedVideo], faults: ListFaults) -> dict[str, ListedVideo]:
    """{file: entry}. The same entry twice counts once; one on two sides of a split or in two classes is a fault.

    ValueError with these and all other `faults`, of which reading `listed` adds its own.
    """
    videos: dict[str, ListedVideo] = {}
    for video in listed:
        first = videos.setdefault(video.file, video)
        if first.split != video.split:
            faults.add(
                f"{video.file} is in {first.split} ({first.place}) and in {video.split} ({video.place});"
                " accepted: one of them"
            )
        if first.label != video.label:
            faults.add(
                f"{video.file} has the class {first.label!r} ({first.place}) and {video.label!r} ({video.place});"
                " accepted: one of them"
            )
    faults.raise_if_any()
    return videos


def match_files(
    files: SourceFiles,
    listed: Mapping[str, ListedVideo],
    *,
    unused: Iterable[str] = (),
    missing_is_normal: bool = False,
    notes: Iterable[str] = (),
) -> SourceListing:
    """The listed videos that are on disk; a missing one is refused as `not_found`, or left out where that is normal.

    Files on disk that no list names are left out with a reason. ValueError when no listed video is on disk.
    """
    present = [video for video in listed.values() if video.file in files.videos]
    if not present:
        example = next(iter(listed), None)
        raise ValueError(
            f"none of the {len(listed)} listed videos is below {files.root} (for example {example});"
            " accepted: the folder that the listed paths start from"
        )
    videos = [
        VideoSource(
            path=files.videos[video.file],
            video_id=video.file,
            label=video.label,
            split=video.split,
            source=video.source,
        )
        for video in present
    ]
    absent = [video for video in listed.values() if video.file not in files.videos]
    skipped = [*files.others, *_left_out(files, listed, set(unused))]
    refusals = list(files.refusals)
    if missing_is_normal:
        skipped += [SkippedFile(path=video.file, reason=SkipReason.MISSING) for video in absent]
    else:
        refusals += [
            Refusal(path=video.file, reason=RefusalReason.NOT_FOUND, detail=f"listed in {video.place}")
            for video in sorted(absent, key=lambda video: video.file)
        ]
    return make_listing(files.root, videos, refusals, skipped, notes)


def _left_out(files: SourceFiles, listed: Mapping[str, ListedVideo], unused: set[str]) -> Iterable[SkippedFile]:
    for name in files.videos:
        if name not in listed:
            yield SkippedFile(path=name, reason=SkipReason.UNUSED if name in unused else SkipReason.UNLISTED)
