"""Some videos of a data set: named ones, or a draw that is spread over the classes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rspnet_core.random_streams import random_stream
from rspnet_platform.command_line import say
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo
from rspnet_platform.stream.loaded_row_groups import LoadedRowGroups
from rspnet_platform.stream.splits import select_videos


@dataclass(frozen=True, kw_only=True)
class ChosenVideo:
    """A row of the data set's table. `video_id` and `label` come from strangers."""

    video_index: int
    video_id: str
    label: str | None
    frames_per_second: float
    location: tuple[str, int, int]


def choose_videos(
    dataset: ShardedDataset, split: str, *, video_ids: Sequence[str], num_videos: int, seed: int
) -> list[ChosenVideo]:
    """Those with the given ids, in that order, or `num_videos` drawn by the seed: one of each class in turn.

    Raises ValueError for a split or an id that the data set does not have.
    """
    indices = select_videos(dataset, split)
    if not video_ids:
        return choose_among(dataset, indices, num_videos, seed)
    rows = _rows_at(dataset, indices)
    return [_video(dataset.videos, row) for row in _rows_of(dataset.videos, rows, video_ids, dataset.uri, split)]


def choose_among(dataset: ShardedDataset, indices: np.ndarray, num_videos: int, seed: int) -> list[ChosenVideo]:
    """At most `num_videos` of the videos with these indices, drawn as `draw_rows` does."""
    labels = dataset.videos["label"].to_pylist()
    return [_video(dataset.videos, row) for row in draw_rows(labels, _rows_at(dataset, indices), num_videos, seed)]


def videos_at(dataset: ShardedDataset, indices: Sequence[int]) -> list[ChosenVideo]:
    """The videos with these indices, in the order of the table."""
    return [_video(dataset.videos, row) for row in _rows_at(dataset, indices)]


def draw_rows(labels: Sequence[str | None], rows: np.ndarray, num_videos: int, seed: int) -> list[int]:
    """At most `num_videos` of the rows, one of each class in turn; sorted by class, each class in the order drawn."""
    generator = random_stream(seed, 0, 0, "visualise/videos")
    by_class: dict[str, list[int]] = defaultdict(list)
    for row in generator.permutation(rows).tolist():
        by_class[labels[row] or ""].append(row)
    names = [sorted(by_class)[place] for place in generator.permutation(len(by_class))]
    in_turn = [
        by_class[name][turn]
        for turn in range(max(map(len, by_class.values()), default=0))
        for name in names
        if turn < len(by_class[name])
    ]
    return sorted(in_turn[:num_videos], key=lambda row: labels[row] or "")


def read_videos(dataset: ShardedDataset, videos: Sequence[ChosenVideo]) -> Iterator[tuple[ChosenVideo, EncodedVideo]]:
    """In the order of the shards, each row group read once; a damaged video is left out, which is said."""
    in_order = sorted(videos, key=lambda video: video.location)
    groups = LoadedRowGroups(dataset.uri, [video.location for video in in_order])
    for video in in_order:
        try:
            yield video, groups.take(video.location, video.video_index)
        except DamagedVideoError as error:
            say_left_out(video, error)


def say_left_out(video: ChosenVideo, error: Exception) -> None:
    say(f"left out: {video.video_id!r}: {error}")


def _rows_at(dataset: ShardedDataset, indices: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isin(dataset.videos["video_index"].to_numpy(), indices))


def _rows_of(videos: Any, rows: np.ndarray, video_ids: Sequence[str], uri: str, split: str) -> list[int]:
    by_id = dict(zip(videos["video_id"].take(rows).to_pylist(), rows.tolist(), strict=True))
    if missing := [video_id for video_id in video_ids if video_id not in by_id]:
        examples = ", ".join(repr(video_id) for video_id in list(by_id)[:3])
        raise ValueError(
            f"the data set {uri} (split {split!r}) has no video {missing[0]!r}; its videos are called {examples}, ..."
        )
    return [by_id[video_id] for video_id in video_ids]


def _video(videos: Any, row: int) -> ChosenVideo:
    values = videos.slice(row, 1).to_pylist()[0]
    return ChosenVideo(
        video_index=values["video_index"],
        video_id=values["video_id"],
        label=values["label"],
        frames_per_second=values["frames_per_second"],
        location=(values["shard"], values["row_group"], values["row"]),
    )
