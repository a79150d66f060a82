"""Compares samples out of a clip pack with decoding them: `python tests/benchmarks/packs.py [--json FILE]`.

See README.md beside it.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / "platform")]

import numpy as np
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.stream.clip_decoding import sample_num_bytes
from rspnet_platform.stream.clip_pack import ClipPack
from rspnet_platform.stream.clip_pack_writing import PackWriter, missing_parts
from rspnet_platform.stream.clip_source import Share, read_share
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import VideoLocations

from tests.benchmarks.corpora import Corpus, kinetics_style_corpus, original_corpus
from tests.benchmarks.measurements import Spread, machine, versions
from tests.benchmarks.requests import RECIPE
from tests.videos import SHARED_DATA

NUM_SAMPLES = 4
"""Of each video in the pack."""
CONTESTANTS = ("decoded", "packed", "making")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the numbers go, beside the table on standard output")
    parser.add_argument("--videos", type=Path, default=SHARED_DATA, help="a folder with videos below it")
    parser.add_argument("--num-videos", type=int, default=24, help="of each corpus; three times as many original files")
    parser.add_argument("--num-rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    report: dict[str, Any] = {"machine": machine(), "versions": versions("av", "pyarrow", "numpy")}
    for build in (kinetics_style_corpus, original_corpus):
        with tempfile.TemporaryDirectory() as scratch:
            corpus = build(options.videos, options.num_videos, Path(scratch))
            report[corpus.name] = measure_corpus(corpus, Path(scratch), options.num_rounds)
        print_table(corpus.name, report[corpus.name])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def measure_corpus(corpus: Corpus, scratch: Path, num_rounds: int) -> dict[str, Any]:
    """The contestants take turns, in an order that is reversed every round."""
    dataset = open_dataset(corpus.dataset_uri)
    videos = np.arange(len(dataset.videos))
    locations = VideoLocations.from_dataset(dataset)
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for round_index in range(num_rounds):
        pack = ClipPack.plan(
            str(scratch / str(round_index)), dataset, RECIPE, videos, num_samples_per_video=NUM_SAMPLES
        )
        writer = PackWriter(pack=pack, dataset_uri=dataset.uri, locations=locations, recipe=RECIPE)
        seconds["making"].append(cpu_seconds(lambda: make(writer)) / NUM_SAMPLES / len(videos))  # noqa: B023
        for name in CONTESTANTS[:2][:: -1 if round_index % 2 else 1]:
            share = share_of(dataset.uri, videos, locations, pack if name == "packed" else None, round_index)
            seconds[name].append(cpu_seconds(lambda: list(read_share(share))) / len(videos))  # noqa: B023
    return {
        "num_videos": len(videos),
        "num_rounds": num_rounds,
        "num_bytes_per_sample": sample_num_bytes(RECIPE),
        "cpu_milliseconds_per_sample": {
            name: Spread.of(1000 * np.array(values)).to_json() for name, values in seconds.items()
        },
        "ratio_of_decoded_to_packed": Spread.of(np.array(seconds["decoded"]) / seconds["packed"]).to_json(),
        "ratio_of_making_to_decoded": Spread.of(np.array(seconds["making"]) / seconds["decoded"]).to_json(),
    }


def make(writer: PackWriter) -> None:
    for part, samples in missing_parts(writer.pack).items():
        writer.write(part, samples)


def share_of(
    dataset_uri: str, videos: np.ndarray, locations: VideoLocations, pack: ClipPack | None, epoch: int
) -> Share:
    """One read task with a sample of each video."""
    return Share(
        dataset_uri=dataset_uri,
        epochs=(epoch,) * len(videos),
        video_indices=tuple(videos.tolist()),
        locations=locations.of(videos),
        recipe=RECIPE,
        num_rows_per_block=4,
        num_samples_per_visit=1,
        damage=DamageLedger(uri="/nowhere"),
        pack=pack and pack.share(videos),
    )


def cpu_seconds(work: Callable[[], Any]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def print_table(name: str, report: dict[str, Any]) -> None:
    print(f"\n{name}: {report['num_videos']} videos, {report['num_rounds']} rounds; median [quartiles]")
    for contestant, numbers in report["cpu_milliseconds_per_sample"].items():
        print(f"  {contestant:28s} {Spread(**numbers)!s:>28s} ms CPU a sample")
    for ratio in ("ratio_of_decoded_to_packed", "ratio_of_making_to_decoded"):
        print(f"  {ratio:28s} {Spread(**report[ratio])!s:>28s}")


if __name__ == "__main__":
    main()
