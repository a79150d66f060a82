"""What each method's features carry: motion, appearance, or both. One table and one plot.

    python tests/benchmarks/claims.py [--num-seeds 3] [--num-epochs 60] [--methods rspnet cvrl ...] [--json FILE]

The embedded videos have independent motions and appearances (four each). Every method pretrains the same tiny encoder
on the train split with one budget (epochs, batch, optimizer, clips of 8 x 64 x 64); then the encoder is frozen, and a
linear classifier is fitted to its features of the train videos, once for motion and once for appearance, and scored on
the test videos. The paper's claim (RSPNet, AAAI 2021): ranking speeds carries motion, instance discrimination over
speeds carries appearance, and both together carry both. `random` is the encoder as initialised.

Writes claims.md and claims.png beside this file, or into --output. Runs that are done are kept in the cache folder.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / "platform")]  # in place of this folder, which holds a requests.py

import torch
import tyro

from tests.benchmarks.claims_report import plot, table
from tests.benchmarks.claims_run import METHODS, Claim, measure, prepare_videos


@dataclass(frozen=True, kw_only=True)
class Claims:
    """`num_processes` runs at a time, of one thread each."""

    methods: tuple[str, ...] = tuple(METHODS)
    num_seeds: int = 3
    num_epochs: int = 60
    num_processes: int = os.cpu_count() or 1
    cache: Path = Path.home() / ".cache" / "rspnet-benchmarks" / "claims"
    output: Path = Path(__file__).parent
    json: Path | None = None


def main(options: Claims) -> None:
    videos = prepare_videos(options.cache)
    claims = [
        Claim(method=method, seed=seed, num_epochs=options.num_epochs)
        for seed in range(options.num_seeds)
        for method in options.methods
    ]
    folders = [str(options.cache)] * len(claims)
    one_thread = {"initializer": torch.set_num_threads, "initargs": (1,)}
    with ProcessPoolExecutor(options.num_processes, mp_context=get_context("spawn"), **one_thread) as pool:
        scores = list(pool.map(measure, claims, [videos] * len(claims), folders))
    results = [vars(claim) | score for claim, score in zip(claims, scores, strict=True)]
    text = table(results)
    print(text)
    (options.output / "claims.md").write_text(text)
    plot(results, options.output / "claims.png")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(tyro.cli(Claims, description=__doc__))
