"""Our `ray.data.Datasource`: each read task reads the row groups that it needs, decodes its share of the plan, and
yields blocks of exactly one worker's part of a batch.

Why blocks have that size: `streaming_split` hands blocks to workers in turn, so that the global batch of each step is
known beforehand, for any number of workers that divides it, and a resumed run goes on with the same batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from ray.data import Datasource, ReadTask
from ray.data.block import Block, BlockAccessor, BlockMetadata
from ray.data.context import DataContext

from rspnet_platform.shards.dataset import EncodedVideo, read_videos
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import ExecutionSamples, VideoLocations


class SamplePlan(Protocol):
    """Which samples are read: `StreamPlan` in training, `WholeDataset` in evaluation."""

    @property
    def dataset_uri(self) -> str: ...
    @property
    def locations(self) -> VideoLocations: ...
    @property
    def num_rows_per_block(self) -> int: ...
    @property
    def num_samples_left(self) -> int: ...
    def execution(self, index: int) -> ExecutionSamples: ...


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one read task has to do: videos in their order, where they lie (shard, row group, row), and how they are
    sampled."""

    dataset_uri: str
    epochs: tuple[int, ...]
    locations: tuple[tuple[str, int, int], ...]
    recipe: SampleRecipe
    num_rows_per_block: int
    damage: DamageLedger


def read_share(share: Share) -> Iterator[Block]:
    """Blocks of `num_rows_per_block` samples in the share's order. A damaged video is entered in the ledger, and its
    row is missing: nothing takes its place."""
    rows: list[dict[str, Any]] = []
    for epoch, video in zip(share.epochs, videos_in_order(share), strict=True):
        try:
            sample = decode_sample(video, epoch, share.recipe)
        except DamagedVideoError as error:
            share.damage.enter(video.info.video_index, video_id=video.video_id, epoch=epoch, error=str(error))
            continue
        rows.append({"video_index": video.info.video_index, "epoch": epoch, **vars(sample)})
        if len(rows) == share.num_rows_per_block:
            yield to_block(rows)
            rows = []
    if rows:
        yield to_block(rows)


def videos_in_order(share: Share) -> Iterator[EncodedVideo]:
    """Reads the wanted rows of each row group at once when the first is due, and lets go of them after the last."""
    last_use = {location[:2]: position for position, location in enumerate(share.locations)}
    loaded: dict[tuple[str, int], dict[int, EncodedVideo]] = {}
    for position, (shard, row_group, row) in enumerate(share.locations):
        group = (shard, row_group)
        if group not in loaded:
            rows = sorted({location[2] for location in share.locations if location[:2] == group})
            videos = read_videos(share.dataset_uri, shard, row_group, rows)
            loaded[group] = dict(zip(rows, videos, strict=True))
        yield loaded[group][row]
        if last_use[group] == position:
            del loaded[group]


def to_block(rows: list[dict[str, Any]]) -> Block:
    return BlockAccessor.batch_to_block({name: np.stack([row[name] for row in rows]) for name in rows[0]})


class ClipSource(Datasource):
    """The samples that `plan` has left, decoded by `recipe`."""

    def __init__(self, plan: SamplePlan, recipe: SampleRecipe, damage: DamageLedger) -> None:
        super().__init__()
        self.plan, self.recipe, self.damage = plan, recipe, damage

    def get_name(self) -> str:
        return "ReadClips"

    def estimate_inmemory_data_size(self) -> int:
        return self.plan.num_samples_left * sample_num_bytes(self.recipe)

    def get_read_tasks(
        self,
        parallelism: int,  # noqa: ARG002 - the plan alone decides
        per_task_row_limit: int | None = None,
        data_context: DataContext | None = None,
    ) -> list[ReadTask]:
        samples = self.plan.execution(num_executions_before(data_context))
        tasks = []
        for epochs, video_indices in samples.in_shares():
            share = Share(
                dataset_uri=self.plan.dataset_uri,
                epochs=tuple(epochs.tolist()),
                locations=self.plan.locations.of(video_indices),
                recipe=self.recipe,
                num_rows_per_block=self.plan.num_rows_per_block,
                damage=self.damage,
            )
            metadata = BlockMetadata(
                num_rows=len(epochs),
                size_bytes=len(epochs) * sample_num_bytes(self.recipe),
                input_files=None,
                exec_stats=None,
            )
            tasks.append(ReadTask(partial(read_share, share), metadata, per_task_row_limit=per_task_row_limit))
        return tasks


def num_executions_before(data_context: DataContext | None) -> int:
    """How often this data set has been iterated over since it was made.

    Ray keeps the count in a private field and asks for read tasks without a context when it only probes. A test
    fails loudly should the field be renamed.
    """
    return 0 if data_context is None else data_context._execution_idx


def sample_num_bytes(recipe: SampleRecipe) -> int:
    """Bytes of a sample's planes, which are nearly all of it."""
    frames = recipe.sampler.num_clips * recipe.sampler.num_frames_per_clip
    return frames * recipe.view.crop_size**2 * 3 // 2
