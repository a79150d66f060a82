"""A folder of class folders, of split folders, or a flat one: the label is the folder right below the root or split."""

from rspnet_platform.ingest.layouts.source_files import find_source_files
from rspnet_platform.ingest.layouts.source_listing import SourceListing, VideoSource, make_listing
from rspnet_platform.ingest.layouts.split_folders import folder_meaning, notes_about


def list_folder(root: str) -> SourceListing:
    """Every video below `root`; deeper folders only group, and videos at the root have no label. ValueError where
    folders of splits lie beside others."""
    files = find_source_files(root)
    folders = {name: tuple(name.split("/")[:-1]) for name in files.videos}
    meaning = folder_meaning(set(folders.values()))
    videos = [
        VideoSource(path=path, video_id=name, label=meaning.label(folders[name]), split=meaning.split(folders[name]))
        for name, path in files.videos.items()
    ]
    return make_listing(root, videos, files.refusals, files.others, notes=notes_about(meaning, list(folders.values())))
