"""Pretrains an encoder: `python jobs/pretrain.py [RECIPE] --data.shards URI --run.name NAME`.

Without arguments: the tiny recipe on the embedded data set, on a local Ray, in a few minutes.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_recipe, run_job
from rspnet_platform.config import PretrainConfig, flatten

from jobs.recipes import DEFAULT_RECIPE, RECIPES


def parse(arguments: Sequence[str]) -> PretrainConfig:
    return parse_recipe(RECIPES, DEFAULT_RECIPE, arguments, program="pretrain.py")


def work(config: PretrainConfig) -> Mapping[str, Any]:
    from rspnet_platform.starting import start  # Ray: --help need not wait for it

    pretrain = start("rspnet_platform.pretraining:pretrain", config.tracking)
    return pretrain(config, recipe=flatten(RECIPES[config.recipe]()))


if __name__ == "__main__":
    run_job(parse, work)
