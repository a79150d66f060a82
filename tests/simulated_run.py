"""A run without Ray, videos or a model: what its workers are handed, and what survives crashes of it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.epoch_order import epoch_order
from rspnet_platform.stream.stream_plan import StreamPlan, VideoLocations

Sample = tuple[int, int]
"""Epoch and video index."""


def make_locations(num_videos: int, videos_per_group: int) -> VideoLocations:
    """Row groups of equal size, one after the other, over two shards."""
    indices = np.arange(num_videos)
    groups = indices // videos_per_group
    first_of_second = groups.max() // 2 + 1
    is_second = groups >= first_of_second
    return VideoLocations(
        shard_names=("shard-00000.parquet", "shard-00001.parquet"),
        shard=is_second.astype(np.int64),
        row_group=np.where(is_second, groups - first_of_second, groups),
        row=indices % videos_per_group,
    )


def reference_order(plan: StreamPlan) -> list[Sample]:
    """The slow obvious one: a whole run's samples as the documentation of `VisitOrder` has them."""
    row_groups = plan.locations.by_row_group(plan.video_indices)
    k, samples = plan.num_samples_per_visit, []
    num_whole = plan.num_epochs // k * k
    for epochs in (range(num_whole), range(num_whole, plan.num_epochs)):
        visits = []
        for first_epoch in epochs[::k]:
            order = epoch_order(
                row_groups,
                seed=plan.seed,
                epoch=first_epoch // k,
                num_row_groups_per_window=plan.num_row_groups_per_window,
            )
            visits += [(first_epoch, video) for video in order.tolist()]
        while visits:
            size = plan.num_videos_per_share
            if len(visits) < 2 * size:
                size = len(visits)
            group, visits = visits[:size], visits[size:]
            samples += [(epoch + i, video) for i in range(min(k, len(epochs))) for epoch, video in group]
    return samples


def dealt_out(blocks: Sequence[Sequence[Sample]], num_workers: int) -> list[list[Sample]]:
    """Each worker's samples as Ray's `streaming_split(equal=True)` gives them: a block to whoever has least, and what
    does not divide is left out."""
    workers: list[list[Sample]] = [[] for _ in range(num_workers)]
    for block in blocks:
        min(workers, key=len).extend(block)
    even = min(len(worker) for worker in workers)
    # Ray cuts the last blocks up so that all have as much; which worker gets them does not matter here.
    surplus = [sample for worker in workers for sample in worker[even:]]
    more = len(surplus) // num_workers
    return [worker[:even] + surplus[i * more : (i + 1) * more] for i, worker in enumerate(workers)]


@dataclass
class SimulatedRun:
    """`history` is what the surviving steps were trained on, each step's samples over all workers, sorted."""

    plan: StreamPlan
    damaged: Collection[Sample] = ()
    num_steps_per_checkpoint: int = 1
    history: list[list[Sample]] = field(default_factory=list)
    consumed: dict | None = None
    """The last checkpoint's, as JSON."""

    def start(self, num_workers: int, *, num_steps_before_crash: int | None = None) -> None:
        """Goes on from the last checkpoint, to the end or to the crash, which loses what came after a checkpoint."""
        consumed = ConsumedVideos.from_json(self.consumed) if self.consumed else self.plan.consumed
        if not self.consumed:
            consumed = ConsumedVideos(
                num_videos=consumed.num_videos, num_videos_per_epoch=consumed.num_videos_per_epoch
            )
        steps: list[list[Sample]] = []
        num_saved = 0
        for batch in self._batches(consumed, num_workers):
            if len(steps) == num_steps_before_crash:
                break
            steps.append(batch)
            if len(steps) % self.num_steps_per_checkpoint == 0:
                num_saved = self._save(consumed, steps, num_saved)
        else:
            num_saved = self._save(consumed, steps, num_saved)
        self.history += steps[:num_saved]

    def _save(self, consumed: ConsumedVideos, steps: list[list[Sample]], num_saved: int) -> int:
        new = [sample for step in steps[num_saved:] for sample in step]
        if new:
            epochs, videos = np.array(new).T
            consumed.mark(epochs, videos)
            self.consumed = consumed.to_json()
        return len(steps)

    def _batches(self, consumed: ConsumedVideos, num_workers: int) -> Iterator[list[Sample]]:
        plan = replace(self.plan, consumed=ConsumedVideos.from_json(consumed.to_json()))
        size = plan.global_batch_size // num_workers
        for index in range(plan.num_executions):
            workers = dealt_out(list(self._blocks(plan, index)), num_workers)
            for first in range(0, len(workers[0]) - size + 1, size):
                yield sorted(sample for worker in workers for sample in worker[first : first + size])

    def _blocks(self, plan: StreamPlan, index: int) -> Iterator[list[Sample]]:
        for epochs, videos in plan.execution(index).in_shares():
            samples = [s for s in zip(epochs.tolist(), videos.tolist(), strict=True) if s not in self.damaged]
            for first in range(0, len(samples), plan.num_rows_per_block):
                yield samples[first : first + plan.num_rows_per_block]

    def num_undamaged_left(self) -> int:
        trained = {sample for step in self.history for sample in step}
        planned = reference_order(self.plan)[: self.plan.num_steps * self.plan.global_batch_size]
        return len(set(planned) - trained - set(self.damaged))
