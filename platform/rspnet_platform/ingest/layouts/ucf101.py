"""UCF101: `CLASS/v_CLASS_g01_c01.avi`, with `classInd.txt`, `trainlist01.txt`, `testlist01.txt` (to 03).

A group (g01 to g25) of a class holds clips of one long video and is their `source`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.published_lists import ListedVideo, match_files, unique_videos
from rspnet_platform.ingest.layouts.source_files import find_source_files
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import SourceListing
from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.list_text import read_lines

_GROUP = re.compile(r"_(g\d+)_c\d+\.\w+$")


def list_ucf101(root: str, layout: SourceLayout) -> SourceListing:
    """The videos of one of the three splits. ValueError with all faults of the lists."""
    folder = storage.resolve_uri(layout.annotations_path)
    faults = ListFaults()
    class_indices = _read_class_indices(storage.join(folder, "classInd.txt"), faults)
    number = layout.split_number or 1
    listed = [
        video
        for split in ("train", "test")
        for video in _read_split(storage.join(folder, f"{split}list{number:02d}.txt"), split, class_indices, faults)
    ]
    _check_groups(listed, faults)
    videos = unique_videos(listed, faults)
    return match_files(find_source_files(root), videos)


def _read_class_indices(uri: str, faults: ListFaults) -> dict[str, str]:
    """{class name: its index as written}. ValueError with all faults of this list: it is what others are read by."""
    indices: dict[str, str] = {}
    for place, line in read_lines(uri):
        index, _, name = line.partition(" ")
        if not index.isdigit() or not name.strip():
            faults.add(f"{place} is {line!r}; accepted: an index and a class, such as '1 ApplyEyeMakeup'")
        elif indices.setdefault(name.strip(), index) != index:
            faults.add(f"{place} gives {name.strip()} the index {index}, a line before {indices[name.strip()]}")
    faults.raise_if_any()
    return indices


def _read_split(uri: str, split: str, class_indices: Mapping[str, str], faults: ListFaults) -> Iterator[ListedVideo]:
    for place, line in read_lines(uri):
        file, _, index = line.partition(" ")
        label = file.split("/")[0]
        group = _GROUP.search(file)
        if label not in class_indices:
            faults.add(f"{place} names the class {label!r}; accepted: the classes of classInd.txt")
        elif index.strip() and index.strip() != class_indices[label]:
            faults.add(f"{place} gives {label} the index {index}; accepted: {class_indices[label]} (classInd.txt)")
        elif group is None:
            faults.add(f"{place} is {line!r}; accepted: a name such as {label}/v_{label}_g01_c01.avi")
        else:
            yield ListedVideo(file=file, place=place, label=label, split=split, source=f"{label}/{group[1]}")


def _check_groups(videos: Iterable[ListedVideo], faults: ListFaults) -> None:
    """Clips of one long video on both sides of a split would make a test of memory."""
    first_of_source: dict[str | None, ListedVideo] = {}
    divided: set[str | None] = set()
    for video in videos:
        first = first_of_source.setdefault(video.source, video)
        if first.split != video.split and first.file != video.file and video.source not in divided:
            divided.add(video.source)
            faults.add(
                f"the split divides the group {video.source}: {first.file} is in {first.split} ({first.place}),"
                f" {video.file} in {video.split} ({video.place}); accepted: groups on one side"
            )
