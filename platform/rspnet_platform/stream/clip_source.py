"""Our `ray.data.Datasource`: each read task reads the row groups that it needs, decodes its share of the plan, and
yields blocks of exactly one worker's part of a batch. A visit's samples are decoded at its first and kept until they
are due.

Why blocks have that size: `streaming_split` hands blocks to workers in turn, so that the global batch of each step is
known beforehand, for any number of workers that divides it, and a resumed run goes on with the same batches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from ray.data import Datasource, ReadTask
from ray.data.block import Block, BlockAccessor, BlockMetadata
from ray.data.context import DataContext

from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.clip_decoding import Sample, SampleRecipe, decode_visit, sample_num_bytes
from rspnet_platform.stream.clip_pack import ClipPack, PackShare
from rspnet_platform.stream.clip_pack_reading import packed_samples
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.loaded_row_groups import LoadedRowGroups, Location
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


Visit = tuple[int, Location, int]
"""A video, where it lies, and the first of the epochs that may share one decode of it."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one read task has to do: videos in their order, where they lie (shard, row group, row), and how they are
    sampled. Samples of one video are decoded together where their epochs are of the same `num_samples_per_visit`."""

    dataset_uri: str
    epochs: tuple[int, ...]
    video_indices: tuple[int, ...]
    locations: tuple[Location, ...]
    recipe: SampleRecipe
    num_rows_per_block: int
    num_samples_per_visit: int
    damage: DamageLedger
    pack: PackShare | None = None

    def visits(self) -> list[Visit]:
        """Of each sample, in order."""
        k = self.num_samples_per_visit
        samples = zip(self.video_indices, self.locations, self.epochs, strict=True)
        return [(video_index, location, epoch // k * k) for video_index, location, epoch in samples]


def read_share(share: Share) -> Iterator[Block]:
    """Blocks of `num_rows_per_block` samples in the share's order. A damaged video is entered in the ledger, and its
    row is missing: nothing takes its place."""
    rows: list[dict[str, Any]] = []
    for due in due_samples(share):
        if isinstance(due.sample, DamagedVideoError):
            share.damage.enter(due.video_index, epoch=due.epoch, error=str(due.sample))
            continue
        rows.append({"video_index": due.video_index, "epoch": due.epoch, **vars(due.sample)})
        if len(rows) == share.num_rows_per_block:
            yield to_block(rows)
            rows = []
    if rows:
        yield to_block(rows)


@dataclass(frozen=True, kw_only=True)
class DueSample:
    """A sample of a share. It holds on to none of the video's bytes, which keep a whole row group in memory."""

    video_index: int
    epoch: int
    sample: Sample | DamagedVideoError


def due_samples(share: Share) -> Iterator[DueSample]:
    """In the share's order: out of the pack where there is one, decoded where not."""
    if share.pack is None:
        yield from decoded_samples(share)
        return
    packed = packed_samples(share.pack, share.video_indices, share.epochs, share.recipe)
    for video_index, epoch, sample in zip(share.video_indices, share.epochs, packed, strict=True):
        yield DueSample(video_index=video_index, epoch=epoch, sample=sample)


def decoded_samples(share: Share) -> Iterator[DueSample]:
    """Each visit is decoded when its first sample is due."""
    visits = share.visits()
    epochs_of: dict[Visit, list[int]] = {}
    for visit, epoch in zip(visits, share.epochs, strict=True):
        epochs_of.setdefault(visit, []).append(epoch)
    row_groups = LoadedRowGroups(share.dataset_uri, [location for _, location, _ in epochs_of])
    waiting: dict[tuple[Visit, int], DueSample] = {}
    for visit, epoch in zip(visits, share.epochs, strict=True):
        if (visit, epoch) not in waiting:
            for sample in visit_samples(visit, epochs_of[visit], row_groups, share.recipe):
                waiting[visit, sample.epoch] = sample
        yield waiting.pop((visit, epoch))


def visit_samples(
    visit: Visit, epochs: Sequence[int], row_groups: LoadedRowGroups, recipe: SampleRecipe
) -> list[DueSample]:
    """One sample, or what is damaged, for each of the epochs."""
    video_index, location, _ = visit
    samples: Sequence[Sample | DamagedVideoError]
    try:
        samples = decode_visit(row_groups.take(location, video_index), epochs, recipe)
    except DamagedVideoError as error:
        samples = [error] * len(epochs)
    return [
        DueSample(video_index=video_index, epoch=epoch, sample=sample)
        for epoch, sample in zip(epochs, samples, strict=True)
    ]


def to_block(rows: list[dict[str, Any]]) -> Block:
    return BlockAccessor.batch_to_block({name: np.stack([row[name] for row in rows]) for name in rows[0]})


class ClipSource(Datasource):
    """The samples that `plan` has left, by `recipe`: decoded, or out of a pack that has them decoded."""

    def __init__(
        self, plan: SamplePlan, recipe: SampleRecipe, damage: DamageLedger, pack: ClipPack | None = None
    ) -> None:
        super().__init__()
        self.plan, self.recipe, self.damage, self.pack = plan, recipe, damage, pack

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
                video_indices=tuple(video_indices.tolist()),
                locations=self.plan.locations.of(video_indices),
                recipe=self.recipe,
                num_rows_per_block=self.plan.num_rows_per_block,
                num_samples_per_visit=samples.num_samples_per_visit,
                damage=self.damage,
                pack=self.pack and self.pack.share(video_indices),
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
