"""Turns videos into shards: `python jobs/ingest.py --source DIR_OR_CSV --output URI`.

The same command again goes on where it was interrupted, and does nothing when all is there. With `--add` the videos are
added to a data set that is complete, as its next version. Under `ray job submit`, or with RAY_ADDRESS set, the cluster
does the work: source and output are then in an object store or in folders that all nodes share.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_config, run_job, say
from rspnet_platform.ingest.ingest_config import IngestConfig


def parse(arguments: Sequence[str]) -> IngestConfig:
    return parse_config(IngestConfig, arguments, program="ingest.py", description=str(__doc__))


def work(config: IngestConfig) -> Mapping[str, Any]:
    from rspnet_platform.ingest.pipeline import ingest  # PyAV and Arrow: --help need not wait for them
    from rspnet_platform.ingest.progress import ingest_progress

    with ingest_progress() as progress:
        result = ingest(config, progress)
    say(f"warning: {result.audit_error}" if result.audit_error else f"look at it: {result.audit}")
    return result.to_json()


if __name__ == "__main__":
    run_job(parse, work)
