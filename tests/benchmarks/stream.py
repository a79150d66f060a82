"""Compares ways from shards to batches: `python tests/benchmarks/stream.py [--json FILE]`. See README.md beside it."""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / "platform")]

import numpy as np
import torch

from tests.benchmarks.corpora import kinetics_style_corpus
from tests.benchmarks.measurements import Spread, machine, versions
from tests.benchmarks.process_tree import ProcessMemory, tree_cpu, tree_memory
from tests.benchmarks.repeated_dataset import repeat_dataset
from tests.benchmarks.stream_contestants import CONTESTANTS, StreamSetting
from tests.videos import SHARED_DATA

TITLES = {
    "ray_split": "Ray Data through our source, streaming_split(1)",
    "ray_whole": "Ray Data through our source, iter_batches",
    "data_loader_2_workers": "torch DataLoader, our reader, 2 workers",
    "data_loader_in_process": "torch DataLoader, our reader, no workers",
    "read_videos": "ray.data.read_videos, frames put together again",
}
SHARES = {
    "share_of_data_loader": "data_loader_2_workers",
    "share_of_data_loader_in_process": "data_loader_in_process",
    "ratio_to_read_videos": "read_videos",
}
"""Title, and whom `ray_split` is compared with."""
ONE_OF = "which are measured; a share is told of two that are"
SLOW = "read_videos"
"""Gets a tenth of the samples."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the numbers go, beside the table on standard output")
    parser.add_argument("--videos", type=Path, default=SHARED_DATA, help="a folder with videos below it")
    parser.add_argument("--num-videos", type=int, default=1536, help="rows of the data set")
    parser.add_argument("--num-rounds", type=int, default=5)
    parser.add_argument("--num-samples-per-round", type=int, default=1280)
    parser.add_argument("--num-samples", type=int, default=20_000, help="over which memory is watched")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--contestants", nargs="+", choices=list(CONTESTANTS), default=list(CONTESTANTS), help=ONE_OF)
    options = parser.parse_args(arguments)
    report: dict[str, Any] = {"machine": machine(), "versions": versions("ray", "torch", "av", "pyarrow", "numpy")}
    with tempfile.TemporaryDirectory() as scratch:
        corpus = kinetics_style_corpus(options.videos, 12, Path(scratch))
        repeat_dataset(Path(corpus.dataset_uri), Path(scratch) / "repeated", options.num_videos)
        setting = StreamSetting(
            dataset_uri=str(Path(scratch) / "repeated"),
            sources=tuple(map(str, corpus.sources)),
            scratch=str(Path(scratch) / "damaged_videos"),
            batch_size=options.batch_size,
        )
        rounds = measure_rounds(setting, options.contestants, options.num_rounds, options.num_samples_per_round)
        report |= throughput_report(rounds)
        print_throughput(report)
        report["memory"] = in_a_process(watch_memory, setting, options.num_samples)
        print_memory(report["memory"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def measure_rounds(
    setting: StreamSetting, names: Sequence[str], num_rounds: int, num_samples: int
) -> dict[str, list[dict[str, float]]]:
    """Every contestant once a round, in a process of its own, the order reversed every round."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for round_index in range(num_rounds):
        for name in names[:: -1 if round_index % 2 else 1]:
            wanted = max(setting.batch_size, num_samples // 10) if name == SLOW else num_samples
            rounds[name].append(in_a_process(measure_stream, setting, name, wanted))
    return rounds


def in_a_process(function: Any, *arguments: Any) -> Any:
    """Not as a daemon, since it has children; what it says goes to standard error."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=send_result, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__}{arguments[1:]} failed; its process says why") from None
    finally:
        process.join()


def send_result(connection: Connection, function: Any, arguments: Sequence[Any]) -> None:
    torch.set_num_threads(1)
    connection.send(function(*arguments))


def measure_stream(setting: StreamSetting, name: str, num_samples: int) -> dict[str, float]:
    """The first batch, the rest of the warm-up, and then the steady state: at its end as much is in the pipeline as at
    its beginning."""
    begun = time.perf_counter()
    with closing(CONTESTANTS[name](setting)) as batches:
        take(batches, 1)
        first_batch_seconds = time.perf_counter() - begun
        take(batches, max(4 * setting.batch_size, num_samples // 2))
        cpu_before, begun = tree_cpu(), time.perf_counter()
        num_taken = take(batches, num_samples)
        cpu, wall_seconds = tree_cpu() - cpu_before, time.perf_counter() - begun
    return {
        "first_batch_seconds": first_batch_seconds,
        "start_cpu_seconds": cpu_before.seconds,
        "cpu_milliseconds_per_sample": 1000 * cpu.seconds / num_taken,
        "ray_service_milliseconds_per_sample": 1000 * cpu.ray_service_seconds / num_taken,
        "samples_per_cpu_second": num_taken / cpu.seconds,
        "samples_per_second": num_taken / wall_seconds,
    }


def take(batches: Iterator[int], num_samples: int) -> int:
    """Consumes at least so many samples and says how many."""
    num_taken = 0
    while num_taken < num_samples:
        num_taken += next(batches)
    return num_taken


def watch_memory(setting: StreamSetting, num_samples: int) -> dict[str, Any]:
    """Every process of a Ray stream at 40 moments on its way through `num_samples`. Slopes leave out the first quarter:
    workers are still starting and object stores filling there."""
    moments: list[dict[int, ProcessMemory]] = []
    num_between = max(setting.batch_size, num_samples // 40)
    num_taken = 0
    with closing(CONTESTANTS["ray_split"](setting)) as batches:
        while num_taken < num_samples:
            num_taken += take(batches, num_between)
            moments.append(tree_memory())
    steady = moments[len(moments) // 4 :]
    thousands = np.arange(len(steady)) * num_between / 1000
    stayed = set.intersection(*(set(moment) for moment in steady))
    totals = [sum(process.private_mib for process in moment.values()) for moment in steady]
    return {
        "num_samples": num_taken,
        "total_private_mib": {"first": totals[0], "last": totals[-1], "highest": max(totals)},
        "total_slope_mib_per_1000_samples": slope(thousands, totals),
        "processes": [
            {
                "name": steady[-1][pid].name,
                "first": asdict(steady[0][pid]),
                "last": asdict(steady[-1][pid]),
                "private_slope_mib_per_1000_samples": slope(thousands, [m[pid].private_mib for m in steady]),
                "resident_slope_mib_per_1000_samples": slope(thousands, [m[pid].resident_mib for m in steady]),
            }
            for pid in sorted(stayed)
        ],
    }


def slope(positions: np.ndarray, values: Sequence[float]) -> float:
    return float(np.polyfit(positions, values, 1)[0]) if len(values) > 1 else 0.0


def throughput_report(rounds: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Spreads by contestant, and how much of a DataLoader's samples per CPU second the Ray stream reaches, round by
    round."""
    numbers = {
        name: {key: Spread.of([one[key] for one in measured]) for key in measured[0]}
        for name, measured in rounds.items()
    }

    def share(name: str, other: str) -> Spread:
        pairs = zip(rounds[name], rounds[other], strict=True)
        return Spread.of([a["samples_per_cpu_second"] / b["samples_per_cpu_second"] for a, b in pairs])

    shares = {
        title: share("ray_split", other) for title, other in SHARES.items() if {"ray_split", other} <= set(rounds)
    }
    return {
        "contestants": {name: {key: s.to_json() for key, s in spreads.items()} for name, spreads in numbers.items()},
        "shares": {name: spread.to_json() for name, spread in shares.items()},
        **{name: spread.median for name, spread in shares.items()},
    }


def print_throughput(report: dict[str, Any]) -> None:
    print("\nsteady state; median [quartiles]")
    for name, numbers in report["contestants"].items():
        column = {key: str(Spread(**spread)) for key, spread in numbers.items()}
        print(
            f"  {TITLES[name]:50s} {column['cpu_milliseconds_per_sample']:>24s} ms CPU a sample, of which"
            f" {column['ray_service_milliseconds_per_sample']} Ray's services;"
            f" {column['samples_per_cpu_second']} samples a CPU second, {column['samples_per_second']} a second;"
            f" first batch after {column['first_batch_seconds']} s"
        )
    for name, spread in report["shares"].items():
        print(f"  {name:50s} {Spread(**spread)!s:>24s}")


def print_memory(memory: dict[str, Any]) -> None:
    totals = memory["total_private_mib"]
    print(
        f"\nmemory over {memory['num_samples']} samples, private MiB of all processes: {totals['first']:.0f} to"
        f" {totals['last']:.0f}, {memory['total_slope_mib_per_1000_samples']:+.2f} per 1000 samples"
    )
    for process in memory["processes"]:
        first, last = process["first"], process["last"]
        print(
            f"  {process['name']:30s} private {first['private_mib']:7.0f} to {last['private_mib']:7.0f},"
            f" resident {first['resident_mib']:7.0f} to {last['resident_mib']:7.0f};"
            f" private {process['private_slope_mib_per_1000_samples']:+.2f} per 1000 samples"
        )


if __name__ == "__main__":
    main()
