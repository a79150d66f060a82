"""Compares readers of video clips: `python tests/benchmarks/decode.py [--json FILE]`. See README.md beside it."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / "platform")]

import numpy as np

from rspnet_core.sampling.clip_plan import VideoInfo
from tests.benchmarks.corpora import Corpus, kinetics_style_corpus, original_corpus
from tests.benchmarks.measurements import Spread, machine, versions
from tests.benchmarks.picture_check import wrong_by_reader
from tests.benchmarks.reader_process import ReaderProcess
from tests.benchmarks.readers import READER_GROUPS
from tests.benchmarks.requests import RECIPE, make_requests, video_infos
from tests.videos import SHARED_DATA

TITLES = {
    "our_sample": "our reader, from the shard to cropped clips",
    "our_decode": "our reader, decoding alone",
    "libavcodec": "libavcodec alone, same packets, from C",
    "decord_per_clip": "decord, one call per clip",
    "decord_union": "decord, one call on the union",
    "pyav_sequential": "PyAV, sequential to the last wanted frame",
    "torchcodec_union": "torchcodec, one call on the union",
}
RATIOS = {
    "ratio_to_decord_per_clip": ("decord_per_clip", "our_sample"),
    "ratio_to_decord_union": ("decord_union", "our_sample"),
    "ratio_to_pyav_sequential": ("pyav_sequential", "our_sample"),
    "ratio_to_torchcodec_union": ("torchcodec_union", "our_sample"),
    "share_of_libavcodec": ("libavcodec", "our_decode"),
    "share_of_libavcodec_whole_sample": ("libavcodec", "our_sample"),
}
"""Each is the CPU time of the first by that of the second, round by round."""

Times = dict[str, list[float]]
"""CPU seconds a sample, by reader, one value a round."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where the numbers go, beside the table on standard output")
    parser.add_argument("--videos", type=Path, default=SHARED_DATA, help="a folder with videos below it")
    parser.add_argument("--num-videos", type=int, default=12, help="of each corpus")
    parser.add_argument("--num-rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    names = ("av", "decord", "torchcodec", "opencv-python-headless", "numpy", "torch")
    report: dict[str, Any] = {"machine": machine(), "versions": versions(*names)}
    for build in (kinetics_style_corpus, original_corpus):
        with tempfile.TemporaryDirectory() as scratch:
            corpus = build(options.videos, options.num_videos, Path(scratch))
            report[corpus.name] = measure_corpus(corpus, options.num_videos, options.num_rounds)
        print_table(corpus.name, report[corpus.name])
    report |= {ratio: report["kinetics_style"][ratio] for ratio in RATIOS}
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def measure_corpus(corpus: Corpus, num_videos: int, num_rounds: int) -> dict[str, Any]:
    with ExitStack() as stack:
        processes = [stack.enter_context(closing(ReaderProcess(group, corpus))) for group in READER_GROUPS]
        videos, left_out = choose_videos(processes, corpus, num_videos)
        times = measure_rounds(processes, videos, num_rounds)
    spreads = ratio_spreads(times)
    return {
        "num_videos": len(videos),
        "num_rounds": num_rounds,
        "left_out": left_out,
        "missing": {process.group: process.missing for process in processes if process.missing},
        "readers": {name: reader_report(seconds) for name, seconds in times.items()},
        "ratios": {name: spread.to_json() for name, spread in spreads.items()},
        # One number each, null where a reader is missing.
        **{name: spreads[name].median if name in spreads else None for name in RATIOS},
    }


def choose_videos(
    processes: Sequence[ReaderProcess], corpus: Corpus, num_videos: int
) -> tuple[list[VideoInfo], dict[str, dict[str, str]]]:
    """The first videos that every reader reads right, and of the others what is wrong with which reader."""
    videos: list[VideoInfo] = []
    left_out: dict[str, dict[str, str]] = {}
    for video in video_infos(corpus.dataset_uri):
        if len(videos) == num_videos:
            break
        [request] = make_requests([video], epoch=0)
        if wrong := wrong_by_reader(processes, corpus, request):
            left_out[corpus.sources[video.video_index].name] = wrong
        else:
            videos.append(video)
    if not videos:
        raise ValueError(f"no video of {corpus.name} is read right by every reader: {left_out}")
    return videos, left_out


def measure_rounds(processes: Sequence[ReaderProcess], videos: Sequence[VideoInfo], num_rounds: int) -> Times:
    """In each round every reader answers the same requests, one a video; the readers' order is reversed every round."""
    by_name = {name: process for process in processes for name in process.names}
    times: Times = {name: [] for name in by_name}
    for round_index in range(num_rounds):
        requests = make_requests(videos, epoch=1 + round_index)
        for name in list(by_name)[:: -1 if round_index % 2 else 1]:
            times[name].append(by_name[name].cpu_seconds(name, requests) / len(requests))
    return times


def reader_report(seconds: Sequence[float]) -> dict[str, Any]:
    per_second = RECIPE.sampler.num_clips / np.array(seconds)
    return {
        "cpu_milliseconds_per_sample": Spread.of(1000 * np.array(seconds)).to_json(),
        "clips_per_second_per_core": Spread.of(per_second).to_json(),
    }


def ratio_spreads(times: Times) -> dict[str, Spread]:
    return {
        name: Spread.of(np.array(times[above]) / np.array(times[below]))
        for name, (above, below) in RATIOS.items()
        if above in times and below in times
    }


def print_table(name: str, report: dict[str, Any]) -> None:
    print(f"\n{name}: {report['num_videos']} videos, {report['num_rounds']} rounds; median [quartiles]")
    for reader, numbers in report["readers"].items():
        columns = (Spread(**numbers[column]) for column in ("cpu_milliseconds_per_sample", "clips_per_second_per_core"))
        milliseconds, clips = columns
        print(f"  {TITLES[reader]:45s} {milliseconds!s:>28s} ms CPU a sample {clips!s:>26s} clips/s/core")
    for ratio, numbers in report["ratios"].items():
        print(f"  {ratio:45s} {Spread(**numbers)!s:>28s}")
    for group, reason in report["missing"].items():
        print(f"  {group} is not measured: {reason}")
    for video, wrong in report["left_out"].items():
        print(f"  left out {video}: " + "; ".join(f"{reader}: {reason}" for reader, reason in wrong.items()))


if __name__ == "__main__":
    main()
