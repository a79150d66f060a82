"""A folder of class folders, or a flat one: the label is the folder right below the root."""

from rspnet_platform.ingest.layouts.source_files import find_source_files
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource, make_listing


def list_folder(root: str) -> SourceListing:
    """Every video below `root`; deeper folders only group, and videos at the root have no label."""
    files = find_source_files(root)
    videos = [
        VideoSource(path=path, video_id=name, label=name.split("/")[0] if "/" in name else None)
        for name, path in files.videos.items()
    ]
    return make_listing(root, videos, files.refusals, files.others)
