"""Tries settings of a recipe: `python jobs/sweep.py SEARCH [RECIPE] --data.shards URI --sweep.num-trials 12`.

Trials are scored by what their frozen encoders find among training videos, never by the loss.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import run_job
from rspnet_platform.sweep.search import SweepJob, parse_sweep

from jobs.recipes import RECIPES
from jobs.searches import SEARCHES


def parse(arguments: Sequence[str]) -> SweepJob:
    return parse_sweep(SEARCHES, RECIPES, arguments)


def work(job: SweepJob) -> Mapping[str, Any]:
    from rspnet_platform.starting import start  # Ray: --help need not wait for it

    return start("rspnet_platform.sweep.sweeping:sweep", job.recipe.tracking)(job)


if __name__ == "__main__":
    run_job(parse, work)
