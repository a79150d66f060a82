"""Reading the lists that come with a published data set, and matching them with the files on disk."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.source_files import SourceFiles
from rspnet_platform.ingest.layouts.source_listing import (
    SkippedFile,
    SkipReason,
    SourceListing,
    VideoSource,
    make_listing,
)
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


def read_text(uri: str) -> str:
    """ValueError when the list is missing or not UTF-8."""
    try:
        return storage.read_bytes(uri).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"the list {uri} does not exist; accepted: the published file of that name") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{uri} is not UTF-8 text: {error}") from error


def read_lines(uri: str) -> list[tuple[str, str]]:
    """(place, line) of each line that is not blank; the place names file and line."""
    lines = read_text(uri).splitlines()
    return [(f"line {number} of {uri}", line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def read_json_list(uri: str) -> Any:
    """The parsed file. ValueError when it is missing or not JSON."""
    try:
        return json.loads(read_text(uri))
    except json.JSONDecodeError as error:
        raise ValueError(f"{uri} is not valid JSON: {error}") from error


def unique_videos(listed: Iterable[ListedVideo]) -> dict[str, ListedVideo]:
    """{file: entry}. The same entry twice counts once; ValueError for one on two sides of a split or in two classes."""
    videos: dict[str, ListedVideo] = {}
    for video in listed:
        first = videos.setdefault(video.file, video)
        if first.split != video.split:
            raise ValueError(
                f"{video.file} is in {first.split} ({first.place}) and in {video.split} ({video.place});"
                " accepted: one of them"
            )
        if first.label != video.label:
            raise ValueError(
                f"{video.file} has the class {first.label!r} ({first.place}) and {video.label!r} ({video.place});"
                " accepted: one of them"
            )
    return videos


def match_files(
    files: SourceFiles,
    listed: Mapping[str, ListedVideo],
    *,
    unused: Iterable[str] = (),
    missing_is_normal: bool = False,
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
    return make_listing(files.root, videos, refusals, skipped)


def _left_out(files: SourceFiles, listed: Mapping[str, ListedVideo], unused: set[str]) -> Iterable[SkippedFile]:
    for name in files.videos:
        if name not in listed:
            yield SkippedFile(path=name, reason=SkipReason.UNUSED if name in unused else SkipReason.UNLISTED)
