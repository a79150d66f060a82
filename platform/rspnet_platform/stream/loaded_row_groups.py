"""The row groups that a read task holds in memory."""

from collections import Counter
from collections.abc import Iterable

from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo, RowGroup, read_row_group

Location = tuple[str, int, int]
"""Shard, row group, row."""


class LoadedRowGroups:
    """Reads each row group when the first of its `locations` is taken, and lets go of it after the last."""

    def __init__(self, dataset_uri: str, locations: Iterable[Location]) -> None:
        self._dataset_uri = dataset_uri
        self._num_left = Counter(location[:2] for location in locations)
        self._loaded: dict[tuple[str, int], RowGroup | DamagedVideoError] = {}

    def take(self, location: Location, video_index: int) -> EncodedVideo:
        """Each location once. DamagedVideoError when the bytes are not those of that video; StorageError when the store
        fails."""
        shard, row_group, row = location
        place = (shard, row_group)
        group = self._loaded.get(place) or self._load(shard, row_group)
        self._num_left[place] -= 1
        if not self._num_left[place]:
            del self._loaded[place]
        if isinstance(group, DamagedVideoError):
            raise group
        video = group.video(row)
        if video.info.video_index != video_index:
            raise DamagedVideoError(f"row {row} of {group.place} holds video {video.info.video_index}")
        return video

    def _load(self, shard: str, row_group: int) -> RowGroup | DamagedVideoError:
        try:
            group = read_row_group(self._dataset_uri, shard, row_group)
        except DamagedVideoError as error:
            group = error
        self._loaded[shard, row_group] = group
        return group
