"""Fine-tunes: `python jobs/finetune.py [RECIPE] --model MODEL --data.shards URI --run.name NAME --seeds 0 1 2`.

Each seed trains on the training videos and is tested on the test videos; the result is their mean and deviation. The
same command goes on where it stopped, and repeats no seed that has finished. The classifier of the seed that does best
on its validation videos is registered.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_recipe, run_job
from rspnet_platform.config import flatten
from rspnet_platform.finetune.finetune_config import FinetuneConfig

from jobs.recipe_files.finetune import DEFAULT_FINETUNE_RECIPE, FINETUNE_RECIPES


def parse(arguments: Sequence[str]) -> FinetuneConfig:
    return parse_recipe(FINETUNE_RECIPES, DEFAULT_FINETUNE_RECIPE, arguments, program="finetune.py")


def work(config: FinetuneConfig) -> Mapping[str, Any]:
    from rspnet_platform.starting import start  # Ray: --help need not wait for it

    finetune = start("rspnet_platform.finetune.several_runs:finetune", config.tracking)
    return finetune(config, recipe=flatten(FINETUNE_RECIPES[config.recipe]()))


if __name__ == "__main__":
    run_job(parse, work)
