"""Something-Something V2: `ID.webm`, with `labels.json`, `train.json`, `validation.json` and `test.json`, or the same
under their older names `something-something-v2-*.json`.

The label is the template without its brackets ("Holding something next to something"), as `labels.json` has it. Test
videos have none. Nothing tells which videos one person took: there is no `source`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.published_lists import (
    ListedVideo,
    match_files,
    read_json_list,
    unique_videos,
)
from rspnet_platform.ingest.layouts.source_files import find_source_files
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import SourceListing
from rspnet_platform.ingest.list_faults import ListFaults

_SPLITS = {"train": "train", "validation": "val", "test": "test"}
_OLD_PREFIX = "something-something-v2-"


def list_something_something_v2(root: str, layout: SourceLayout) -> SourceListing:
    """The videos of all lists; without `test.json` the test videos are left out as unlisted.

    ValueError with all faults of the lists.
    """
    folder = storage.resolve_uri(layout.annotations_path)
    classes = read_json_list(_list_uri(folder, "labels"))
    if not isinstance(classes, dict):
        raise ValueError(f"{_list_uri(folder, 'labels')} is no object; accepted: {{template: index}}")
    names = [name for name in _SPLITS if name != "test" or storage.exists(_list_uri(folder, "test"))]
    faults = ListFaults()
    videos = unique_videos(
        (video for name in names for video in _read_split(_list_uri(folder, name), name, classes, faults)), faults
    )
    return match_files(find_source_files(root), videos)


def _list_uri(folder: str, name: str) -> str:
    old = storage.join(folder, f"{_OLD_PREFIX}{name}.json")
    return old if storage.exists(old) else storage.join(folder, f"{name}.json")


def _read_split(uri: str, name: str, classes: Mapping[str, Any], faults: ListFaults) -> Iterator[ListedVideo]:
    entries = read_json_list(uri)
    if not isinstance(entries, list):
        raise ValueError(f"{uri} is no list; accepted: a list of objects with id and template")
    for number, entry in enumerate(entries, 1):
        place = f"entry {number} of {uri}"
        video_id = entry.get("id") if isinstance(entry, dict) else None
        if not isinstance(video_id, str | int) or not (str(video_id).isascii() and str(video_id).isdigit()):
            faults.add(f"{place} has id {video_id!r}; accepted: a number")
            continue
        label = None if name == "test" else _label(entry, place, classes, faults)
        yield ListedVideo(file=f"{video_id}.webm", place=place, label=label, split=_SPLITS[name])


def _label(entry: Mapping[str, Any], place: str, classes: Mapping[str, Any], faults: ListFaults) -> str | None:
    template = entry.get("template")
    label = template.replace("[", "").replace("]", "") if isinstance(template, str) else None
    if label is None or label not in classes:
        faults.add(f"{place} has template {template!r}; accepted: a class of labels.json")
    return label
