"""Turns a data set's videos into vectors: `python jobs/embed.py --model MODEL --data URI --output URI`.

Writes Parquet files with video_index, video_id, label, split and embedding, and `embeddings.json`, which says of what
they are. The same command again goes on where it was interrupted, and does nothing when all is there.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_config, run_job
from rspnet_platform.inference.embedding_config import EmbedConfig


def parse(arguments: Sequence[str]) -> EmbedConfig:
    return parse_config(EmbedConfig, arguments, program="embed.py", description=str(__doc__))


def work(config: EmbedConfig) -> Mapping[str, Any]:
    from rspnet_platform.inference.embedding_job import embed  # torch and Ray: --help need not wait for them

    return embed(config)


if __name__ == "__main__":
    run_job(parse, work)
