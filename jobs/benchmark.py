"""Compares methods: `python jobs/benchmark.py --recipes NAME ... --data.shards URI --num-seeds 3 --run.name NAME`.

Pretrains each recipe with each seed under one budget, asks all encoders by the same protocols beside random
initialisations, and writes the table. Every other key is a recipe's, such as --training.num-epochs 60 or
--scaling.num-workers 4, and changes all of them. The same command goes on where it stopped, with more seeds or recipes
too.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

import tyro
from rspnet_platform.benchmark.benchmark_config import RANDOM, BenchmarkChoice, BenchmarkConfig
from rspnet_platform.command_line import parse_recipe, run_job

from jobs.recipes import DEFAULT_RECIPE, RECIPES


def parse(arguments: Sequence[str]) -> BenchmarkConfig:
    """Raises ValueError for a recipe that does not exist, and for recipes of unequal budgets."""
    choice, of_recipes = tyro.cli(
        BenchmarkChoice, args=list(arguments), prog="benchmark.py", description=str(__doc__), return_unknown_args=True
    )
    names = [name.replace("-", "_") for name in choice.recipes]
    configs = {
        name: parse_recipe(RECIPES, DEFAULT_RECIPE, [name, *of_recipes], program="benchmark.py")
        for name in dict.fromkeys(names)
        if name != RANDOM
    }
    return BenchmarkConfig(choice=choice, configs=configs)


def work(config: BenchmarkConfig) -> Mapping[str, Any]:
    from rspnet_platform.starting import start  # Ray: --help need not wait for it

    return start("rspnet_platform.benchmark.benchmark:benchmark", config.first.tracking)(config)


if __name__ == "__main__":
    run_job(parse, work)
