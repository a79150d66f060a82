"""The videos that checkpoints are validated on: labelled, of those that are trained on, the same for every run."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from rspnet_core.random_streams import random_stream
from rspnet_platform.inference.retrieval_evaluation import QUERY_SPLIT
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.loaded_row_groups import Location

NUM_VIDEOS_PER_CLASS = 8
"""At least, where there are more classes than can have so many: of two videos a class nobody can be found."""


@dataclass(frozen=True, kw_only=True)
class ValidationVideo:
    """A row of the data set's table. `video_id`, `label` and `source` come from strangers."""

    video_index: int
    video_id: str
    label: str | None
    source: str | None
    location: Location


def choose_validation_videos(
    dataset: ShardedDataset, video_indices: np.ndarray, max_num_videos: int
) -> tuple[ValidationVideo, ...]:
    """At most `max_num_videos` of those with these indices, in the order of the shards.

    Labelled ones that are in no test split, of classes where one can be found: of two sources or more (videos without
    one count as a source each). Equally many of each class, as far as it has them. Where there are fewer than two such
    classes, any of the videos, without their labels.
    """
    table = dataset.videos.filter(np.isin(dataset.videos["video_index"].to_numpy(), video_indices))
    by_class = classes_to_find(table)
    generator = random_stream(0, 0, 0, "validation/videos")
    if len(by_class) < 2 or max_num_videos < 4:
        rows = generator.permutation(len(table))[:max_num_videos].tolist()
        return in_shard_order([video_at(table, row, is_labelled=False) for row in rows])
    num_classes = max(2, min(len(by_class), max_num_videos // NUM_VIDEOS_PER_CLASS))
    names = [sorted(by_class)[place] for place in generator.permutation(len(by_class))[:num_classes]]
    num_per_class = max_num_videos // num_classes
    drawn = [row for name in sorted(names) for row in generator.permutation(by_class[name])[:num_per_class].tolist()]
    return in_shard_order([video_at(table, row, is_labelled=True) for row in drawn])


def classes_to_find(table: pa.Table) -> dict[str, list[int]]:
    """Rows by label."""
    by_class: dict[str, list[int]] = defaultdict(list)
    columns = (table[name].to_pylist() for name in ("label", "split", "source", "video_index"))
    sources: dict[str, set[str | int]] = defaultdict(set)
    for row, (label, split, source, video_index) in enumerate(zip(*columns, strict=True)):
        if label is not None and split != QUERY_SPLIT:
            by_class[label].append(row)
            sources[label].add(video_index if source is None else source)
    return {label: rows for label, rows in by_class.items() if len(sources[label]) > 1}


def is_labelled(videos: Sequence[ValidationVideo]) -> bool:
    return bool(videos) and all(video.label is not None for video in videos)


def in_shard_order(videos: Sequence[ValidationVideo]) -> tuple[ValidationVideo, ...]:
    return tuple(sorted(videos, key=lambda video: video.location))


def video_at(table: pa.Table, row: int, *, is_labelled: bool) -> ValidationVideo:
    [values] = table.slice(row, 1).to_pylist()
    return ValidationVideo(
        video_index=values["video_index"],
        video_id=values["video_id"],
        label=values["label"] if is_labelled else None,
        source=values["source"],
        location=(values["shard"], values["row_group"], values["row"]),
    )
