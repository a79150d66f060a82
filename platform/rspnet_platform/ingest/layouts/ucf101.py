"""UCF101: `CLASS/v_CLASS_g01_c01.avi`, with `classInd.txt`, `trainlist01.txt`, `testlist01.txt` (to 03).

A group (g01 to g25) of a class holds clips of one long video and is their `source`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.published_lists import ListedVideo, match_files, read_lines, unique_videos
from rspnet_platform.ingest.layouts.source_files import find_source_files
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import SourceListing

_GROUP = re.compile(r"_(g\d+)_c\d+\.\w+$")


def list_ucf101(root: str, layout: SourceLayout) -> SourceListing:
    """The videos of one of the three splits. ValueError for lists that are missing or contradict each other."""
    folder = storage.resolve_uri(layout.annotations_path)
    class_indices = _read_class_indices(storage.join(folder, "classInd.txt"))
    number = layout.split_number or 1
    videos = unique_videos(
        video
        for split in ("train", "test")
        for video in _read_split(storage.join(folder, f"{split}list{number:02d}.txt"), split, class_indices)
    )
    _check_groups(videos.values())
    return match_files(find_source_files(root), videos)


def _read_class_indices(uri: str) -> dict[str, str]:
    """{class name: its index as written}."""
    indices = {}
    for place, line in read_lines(uri):
        index, _, name = line.partition(" ")
        if not index.isdigit() or not name.strip():
            raise ValueError(f"{place} is {line!r}; accepted: an index and a class, such as '1 ApplyEyeMakeup'")
        indices[name.strip()] = index
    return indices


def _read_split(uri: str, split: str, class_indices: Mapping[str, str]) -> Iterator[ListedVideo]:
    for place, line in read_lines(uri):
        file, _, index = line.partition(" ")
        label = file.split("/")[0]
        if label not in class_indices:
            raise ValueError(f"{place} names the class {label!r}; accepted: the classes of classInd.txt")
        if index.strip() and index.strip() != class_indices[label]:
            raise ValueError(
                f"{place} gives {label} the index {index}; accepted: {class_indices[label]} (classInd.txt)"
            )
        group = _GROUP.search(file)
        if group is None:
            raise ValueError(f"{place} is {line!r}; accepted: a name such as {label}/v_{label}_g01_c01.avi")
        yield ListedVideo(file=file, place=place, label=label, split=split, source=f"{label}/{group[1]}")


def _check_groups(videos: Iterable[ListedVideo]) -> None:
    """Clips of one long video on both sides of a split would make a test of memory."""
    first_of_source: dict[str | None, ListedVideo] = {}
    for video in videos:
        first = first_of_source.setdefault(video.source, video)
        if first.split != video.split:
            raise ValueError(
                f"the split divides the group {video.source}: {first.file} is in {first.split} ({first.place}),"
                f" {video.file} in {video.split} ({video.place}); accepted: groups on one side"
            )
