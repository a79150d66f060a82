"""The Ray data set that a training run iterates over, made anew at each start of its worker group."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import ray.data

from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import StreamPlan


@dataclass(frozen=True, kw_only=True)
class TrainingStream:
    """All that decides what a run reads. Ray Train calls it at every (re)start, and it plans only what is left.

    `plan` is that of a run that has consumed nothing; `read_consumed` finds what the last checkpoint accounts for,
    or None before the first.
    """

    plan: StreamPlan
    recipe: SampleRecipe
    damage: DamageLedger
    cpus_per_decode_task: float
    read_consumed: Callable[[], ConsumedVideos | None]

    def __call__(self) -> ray.data.Dataset:
        plan = replace(self.plan, consumed=self.read_consumed() or self.plan.consumed)
        return clip_dataset(plan, self.recipe, self.damage, cpus_per_decode_task=self.cpus_per_decode_task)
