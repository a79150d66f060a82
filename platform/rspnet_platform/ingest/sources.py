"""Which videos an ingest is about: folders, CSVs and published data sets; local, s3:// or gs://."""

from collections.abc import Callable

from rspnet_platform import storage
from rspnet_platform.ingest.layouts.csv_list import list_csv
from rspnet_platform.ingest.layouts.folder import list_folder
from rspnet_platform.ingest.layouts.hmdb51 import list_hmdb51
from rspnet_platform.ingest.layouts.kinetics import list_kinetics
from rspnet_platform.ingest.layouts.something_something_v2 import list_something_something_v2
from rspnet_platform.ingest.layouts.source_files import VIDEO_EXTENSIONS
from rspnet_platform.ingest.layouts.source_layout import SourceLayout
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource
from rspnet_platform.ingest.layouts.ucf101 import list_ucf101

__all__ = ["SourceListing", "VideoSource", "list_videos"]

PUBLISHED_LAYOUTS: dict[str, Callable[[str, SourceLayout], SourceListing]] = {
    "ucf101": list_ucf101,
    "hmdb51": list_hmdb51,
    "kinetics": list_kinetics,
    "something_something_v2": list_something_something_v2,
}


def list_videos(
    source: str,
    source_root: str | None = None,
    layout: SourceLayout = SourceLayout(),  # noqa: B008 (frozen)
) -> SourceListing:
    """Lists without opening any video. Layout `auto` takes a folder or a CSV by what `source` is.

    ValueError when the source is missing, holds no video, or is not what the layout expects.
    """
    uri = storage.resolve_uri(source)
    name = _kind(uri) if layout.name == "auto" else layout.name
    if name != "csv" and source_root is not None:
        raise ValueError(f"source_root {source_root} goes with a CSV; {uri} is a folder and its own root")
    if name == "csv":
        listing = list_csv(uri, source_root)
    elif not storage.is_folder(uri):
        raise ValueError(f"source {uri} is not a folder; accepted for layout {name!r}: the folder of the videos")
    elif name == "folder":
        listing = list_folder(uri)
    else:
        listing = PUBLISHED_LAYOUTS[name](uri, layout)
    if not listing.videos and not listing.refusals:
        raise ValueError(
            f"source {uri} holds no videos ({len(listing.skipped_files)} other files);"
            f" accepted: files ending in {' '.join(sorted(VIDEO_EXTENSIONS))}, or a CSV with rows"
        )
    return listing


def _kind(uri: str) -> str:
    if storage.is_folder(uri):
        return "folder"
    if not storage.exists(uri):
        raise ValueError(f"source {uri} does not exist; accepted: a folder of videos or a CSV file")
    if uri.lower().endswith(".csv"):
        return "csv"
    raise ValueError(f"source {uri} is a file; accepted: a folder of videos or a .csv file")
