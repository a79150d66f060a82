"""What an encoder is worth as it is: `python jobs/evaluate.py --model MODEL --data.shards URI --protocol NAME ...`.

Retrieval, nearest neighbours, linear probes and few labels on frozen features, beside random initialisations of the
same encoder. A table on standard error; the numbers, each with its protocol, are the last line of standard output. The
same command goes on where it was killed.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_config, run_job
from rspnet_platform.inference.frozen_evaluation_config import FrozenEvaluationConfig


def parse(arguments: Sequence[str]) -> FrozenEvaluationConfig:
    return parse_config(FrozenEvaluationConfig, arguments, program="evaluate.py", description=str(__doc__))


def work(config: FrozenEvaluationConfig) -> Mapping[str, Any]:
    from rspnet_platform.starting import start  # Ray: --help need not wait for it

    tracking = config.tracking if config.is_tracked else None
    return start("rspnet_platform.inference.frozen_evaluation:evaluate_frozen", tracking)(config)


if __name__ == "__main__":
    run_job(parse, work)
