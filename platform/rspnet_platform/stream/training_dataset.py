"""The Ray data set that a training run iterates over, made anew at each start of its worker group."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import ray.data

from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe, sample_num_bytes
from rspnet_platform.stream.clip_pack import ClipPack
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import StreamPlan

MAX_WAITING_BYTES = 2 * 1024**3
"""Of decoded samples that one decode task keeps until their epoch is due. As many tasks run at a time as have CPUs."""


@dataclass(frozen=True, kw_only=True)
class TrainingStream:
    """All that decides what a run reads. Ray Train calls it at every (re)start, and it plans only what is left.

    `plan` is that of a run that has consumed nothing; `read_consumed` finds what the last checkpoint accounts for,
    or None before the first. `pack` has the samples decoded; none decodes them.
    """

    plan: StreamPlan
    recipe: SampleRecipe
    damage: DamageLedger
    cpus_per_decode_task: float
    read_consumed: Callable[[], ConsumedVideos | None]
    pack: ClipPack | None = None

    def __post_init__(self) -> None:
        check_waiting_samples(self.plan, self.recipe)

    def __call__(self) -> ray.data.Dataset:
        return clip_dataset(
            self.plan_left(),
            self.recipe,
            self.damage,
            cpus_per_decode_task=self.cpus_per_decode_task,
            pack=self.pack,
        )

    def plan_left(self) -> StreamPlan:
        """What the last checkpoint leaves to do."""
        return replace(self.plan, consumed=self.read_consumed() or self.plan.consumed)

    def num_undamaged_samples_left(self) -> int:
        """Of what the run was to train on, less the videos that are known to be damaged."""
        plan = self.plan_left()
        if not plan.num_executions:
            return 0
        damaged = [entry["video_index"] for entry in self.damage.entries()]
        left = (plan.execution(index).video_indices for index in range(plan.num_executions))
        return sum(int(np.isin(videos, damaged, invert=True).sum()) for videos in left)


def check_waiting_samples(plan: StreamPlan, recipe: SampleRecipe) -> None:
    """Raises ValueError for more samples a visit than a decode task can keep."""

    def num_bytes(num_samples_per_visit: int) -> int:
        return replace(plan, num_samples_per_visit=num_samples_per_visit).max_samples_waiting * sample_num_bytes(recipe)

    if num_bytes(plan.num_samples_per_visit) > MAX_WAITING_BYTES:
        accepted = next(k for k in range(plan.num_samples_per_visit, 0, -1) if num_bytes(k) <= MAX_WAITING_BYTES)
        raise ValueError(
            f"data.num_samples_per_visit is {plan.num_samples_per_visit}: a decode task would keep "
            f"{num_bytes(plan.num_samples_per_visit) / 1024**3:.1f} GiB of decoded samples, of "
            f"{sample_num_bytes(recipe) / 1024**2:.2f} MiB each and of {plan.num_videos_per_share} videos or more; "
            f"accepted are numbers up to {accepted}, which keep {MAX_WAITING_BYTES / 1024**3:g} GiB or less"
        )
