"""A Ray data set of clips, with what every one of ours is sealed with."""

import warnings

import ray.data
from ray.data import DataContext, ExecutionOptions

from rspnet_platform.stream.clip_decoding import SampleRecipe, sample_num_bytes
from rspnet_platform.stream.clip_pack import ClipPack
from rspnet_platform.stream.clip_source import ClipSource, SamplePlan
from rspnet_platform.stream.damage import DamageLedger

NO_PROGRESS_TIMEOUT_SECONDS = 1800
"""A starved pipeline fails after that instead of waiting for ever. Ray counts a consumer that is slow as no progress
too, so it must be longer than any step."""

MAX_DECODE_RETRIES = 3


def clip_dataset(
    plan: SamplePlan,
    recipe: SampleRecipe,
    damage: DamageLedger,
    *,
    cpus_per_decode_task: float,
    pack: ClipPack | None = None,
) -> ray.data.Dataset:
    """The plan's samples in its order, in blocks of its size; read from `pack` where there is one."""
    configure_context(recipe, plan.num_rows_per_block)
    with warnings.catch_warnings():
        # The only way to bound retries: Ray's own default runs a crashing decode task again for ever.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        return ray.data.read_datasource(
            ClipSource(plan, recipe, damage, pack),
            num_cpus=cpus_per_decode_task,
            # The plan decides on the tasks; a larger number here would make Ray split their blocks.
            override_num_blocks=1,
            ray_remote_args={"max_retries": MAX_DECODE_RETRIES},
        )


def warm_up(num_tasks: int = 2) -> None:
    """Runs a data set of nothing through tasks of its own, as decode tasks will: see `starting`."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    ray.data.range(num_tasks, override_num_blocks=num_tasks).materialize()


def execution_options() -> ExecutionOptions:
    """Blocks in the plan's order: without it no seed gives the same order twice."""
    return ExecutionOptions(preserve_order=True)


def configure_context(recipe: SampleRecipe, num_rows_per_block: int) -> None:
    """Sets what the data set made next is sealed with.

    Ray merges blocks below its target size and cuts those above 1.5 times it; a target of 4/5 of ours leaves ours as
    they are.
    """
    context = DataContext.get_current()
    context.target_max_block_size = max(1, sample_num_bytes(recipe) * num_rows_per_block * 4 // 5)
    context.execution_options = execution_options()
    context.execution_no_progress_timeout_s = NO_PROGRESS_TIMEOUT_SECONDS
    context.enable_progress_bars = False
    context.print_on_execution_start = False
