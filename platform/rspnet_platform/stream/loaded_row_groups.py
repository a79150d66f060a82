"""The row groups that a read task holds in memory."""

from collections.abc import Iterable

from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo, RowGroup, read_row_group
from rspnet_platform.stream.held_until_last_use import HeldUntilLastUse

Location = tuple[str, int, int]
"""Shard, row group, row."""


class LoadedRowGroups:
    """Reads each row group when the first of its `locations` is taken, and lets go of it after the last."""

    def __init__(self, dataset_uri: str, locations: Iterable[Location]) -> None:
        self._dataset_uri = dataset_uri
        self._groups = HeldUntilLastUse(self._load, (location[:2] for location in locations))

    def take(self, location: Location, video_index: int) -> EncodedVideo:
        """Each location once. DamagedVideoError when the bytes are not those of that video; StorageError when the store
        fails."""
        shard, row_group, row = location
        group = self._groups.take((shard, row_group))
        if isinstance(group, DamagedVideoError):
            raise group
        video = group.video(row)
        if video.info.video_index != video_index:
            raise DamagedVideoError(f"row {row} of {group.place} holds video {video.info.video_index}")
        return video

    def _load(self, place: tuple[str, int]) -> RowGroup | DamagedVideoError:
        try:
            return read_row_group(self._dataset_uri, *place)
        except DamagedVideoError as error:
            return error
