"""HMDB51: `CLASS/TITLE_CLASS_TAGS_NUMBER.avi`, with `CLASS_test_split1.txt` (to 3) for each class.

A line of a split file is a name and 1 (train), 2 (test) or 0: the split uses the clip on neither side. Those are left
out, as every published number on HMDB51 does: they are cut from the same films as test clips. The `source` of a clip is
its film's title within its class; the splits keep such clips together, but divide films among classes.
"""

import re
from collections.abc import Iterator

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.published_lists import ListedVideo, match_files, unique_videos
from rspnet_platform.ingest.layouts.source_files import find_source_files
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import SourceListing
from rspnet_platform.ingest.list_faults import ListFaults
from rspnet_platform.ingest.list_text import read_lines

_UNUSED = "unused"
_SPLITS = {"0": _UNUSED, "1": "train", "2": "test"}
# Visible body parts, camera motion, number of people, viewpoint, quality, number of the clip.
_TAGS = re.compile(r"_[a-z]_[a-z]{2}_np\d+_[a-z]{2}_[a-z]{3}_\d+\.\w+$")


def list_hmdb51(root: str, layout: SourceLayout) -> SourceListing:
    """The videos of one of the three splits. ValueError with all faults of the lists."""
    folder = storage.resolve_uri(layout.annotations_path)
    ending = f"_test_split{layout.split_number or 1}.txt"
    names = [name for name in storage.list_names(folder) if name.endswith(ending)]
    if not names:
        raise ValueError(f"{folder} holds no list CLASS{ending}; accepted: the folder testTrainMulti_7030_splits")
    faults = ListFaults()
    listed = unique_videos(
        (
            video
            for name in names
            for video in _read_split(storage.join(folder, name), name.removesuffix(ending), faults)
        ),
        faults,
    )
    unused = {file for file, video in listed.items() if video.split == _UNUSED}
    used = {file: video for file, video in listed.items() if file not in unused}
    return match_files(find_source_files(root), used, unused=unused)


def _read_split(uri: str, label: str, faults: ListFaults) -> Iterator[ListedVideo]:
    for place, line in read_lines(uri):
        name, _, tag = line.rpartition(" ")
        if not name or tag not in _SPLITS:
            faults.add(f"{place} is {line!r}; accepted: a file name and 0 (unused), 1 (train) or 2 (test)")
            continue
        title = _TAGS.sub("", name.strip())
        source = f"{label}/{title.removesuffix('_' + label)}" if title != name.strip() else None
        yield ListedVideo(file=f"{label}/{name.strip()}", place=place, label=label, split=_SPLITS[tag], source=source)
