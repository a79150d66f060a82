"""The benchmarks run from end to end on a few small videos and say what they promise; nothing here is about time."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.shards.packet_reader import _needed_packets
from rspnet_platform.shards.row_groups import read_videos

from tests.benchmarks.claims_report import plot, table
from tests.benchmarks.claims_run import Claim, border_colours, measure, prepare_videos
from tests.benchmarks.libavcodec_probe import LibavcodecProbe, ProbeUnavailableError, needed_packets
from tests.benchmarks.measurements import Spread
from tests.benchmarks.picture_check import wrong_frames
from tests.benchmarks.repeated_dataset import repeat_dataset
from tests.videos import encode_video, moving_pictures

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos that are large and long enough to make others of."""
    folder = tmp_path_factory.mktemp("originals") / "videos"
    for seed in range(2):
        path = folder / "some_folder" / f"{seed}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_video(moving_pictures(36, 120, 160, seed=seed)))
    return folder


def run_benchmark(name: str, originals: Path, *arguments: str) -> dict:
    """As a user runs it; the encoded files are cached beside the originals."""
    report = originals.parent / f"{name}.json"
    command = [sys.executable, str(FOLDER / name), "--videos", str(originals), "--json", str(report), *arguments]
    environment = os.environ | {"XDG_CACHE_HOME": str(originals.parent / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(report.read_text())


@pytest.mark.slow
def test_decode_compares_all_readers_on_both_corpora(originals: Path) -> None:
    """The JSON has the promised keys, for Kinetics-style files at the top, and every reader was right on the videos."""
    report = run_benchmark("decode.py", originals, "--num-videos", "2", "--num-rounds", "2")
    for numbers in (report, report["kinetics_style"], report["original_files"]):
        assert numbers["ratio_to_decord_per_clip"] > 0
        assert numbers["ratio_to_decord_union"] > 0
    for corpus in ("kinetics_style", "original_files"):
        assert report[corpus]["num_videos"] == 2
        assert report[corpus]["left_out"] == {}
        assert {"our_sample", "our_decode", "pyav_sequential"} <= set(report[corpus]["readers"])
        assert report[corpus]["readers"]["decord_per_clip"]["clips_per_second_per_core"]["median"] > 0
    assert report["versions"]["av"]
    has_probe = "libavcodec" in report["kinetics_style"]["readers"]
    assert (report["share_of_libavcodec"] or 0) > 0 if has_probe else report["share_of_libavcodec"] is None


@pytest.mark.slow
def test_stream_compares_ray_with_a_data_loader(originals: Path) -> None:
    """Contestants of each kind deliver, shares are told, and the memory of all processes is watched."""
    sizes = ("--num-videos", "64", "--num-rounds", "1", "--num-samples-per-round", "32", "--num-samples", "64")
    contestants = ("ray_split", "data_loader_2_workers", "data_loader_in_process", "read_videos")
    report = run_benchmark("stream.py", originals, *sizes, "--batch-size", "4", "--contestants", *contestants)
    for name in ("share_of_data_loader", "share_of_data_loader_in_process", "ratio_to_read_videos"):
        assert report[name] > 0
    assert tuple(report["contestants"]) == contestants
    for numbers in report["contestants"].values():
        assert numbers["samples_per_cpu_second"]["median"] > 0
    assert report["contestants"]["ray_split"]["ray_service_milliseconds_per_sample"]["median"] >= 0
    assert report["memory"]["num_samples"] >= 64
    assert {"driver", "raylet"} <= {process["name"] for process in report["memory"]["processes"]}


@pytest.mark.slow
def test_packs_compares_reading_with_decoding(originals: Path) -> None:
    """Both corpora, each with both ratios."""
    report = run_benchmark("packs.py", originals, "--num-videos", "2", "--num-rounds", "2")
    for corpus in ("kinetics_style", "original_files"):
        assert report[corpus]["num_videos"] == 2
        assert report[corpus]["num_bytes_per_sample"] == 3 * 16 * 112 * 112 * 3 // 2
        assert report[corpus]["ratio_of_decoded_to_packed"]["median"] > 0
        assert report[corpus]["ratio_of_making_to_decoded"]["num_rounds"] == 2


def test_probe_decodes_just_what_is_needed(small_dataset) -> None:
    """The packets that our reader feeds, found another way; from C as many frames come out as go in."""
    try:
        probe = LibavcodecProbe()
    except ProbeUnavailableError as error:
        pytest.skip(str(error))
    place = small_dataset.videos.slice(0, 1).to_pylist()[0]
    [video] = read_videos(small_dataset.uri, place["shard"], place["row_group"], [place["row"]])
    for wanted in ([3, 4], [0, 18], [19], list(range(20))):
        packets = needed_packets(video.index, set(wanted))
        expected, is_last = _needed_packets(video.index, np.array(wanted))
        assert np.array_equal(packets.offset, video.index.offset[expected])
        assert np.array_equal(packets.is_last, is_last)
        assert probe.decode(video.data, video.index.extradata, packets) == len(expected)
    assert probe.decode(bytes(len(video.data)), video.index.extradata, packets) == -1


def test_pictures_of_another_moment_are_wrong() -> None:
    """A reader that is one frame off is found out, noise and a stretched range are not held against one."""
    generator = np.random.default_rng(0)
    reference = generator.integers(0, 256, (10, 32, 32)).astype(np.float32)
    noisy = {index: reference[index] * 0.98 + generator.normal(0, 2, (32, 32)) for index in (0, 4, 9)}
    assert wrong_frames(noisy, reference) == []
    assert wrong_frames({4: reference[5], 7: reference[7]}, reference) == [4]
    slow_scene = np.arange(10, dtype=np.float32)[:, None, None] * 3 + reference[:1]
    assert wrong_frames({4: slow_scene[5], 7: slow_scene[7]}, slow_scene) == [4]


def test_repeated_rows_are_rows_of_their_own(originals: Path, tmp_path: Path) -> None:
    """Each has a number and a checksum of its own and reads like any other."""
    ingest(IngestConfig(source=str(originals), output=str(tmp_path / "dataset"), short_side=64))
    repeat_dataset(tmp_path / "dataset", tmp_path / "repeated", num_videos=70)
    dataset = open_dataset(str(tmp_path / "repeated"))
    assert dataset.videos["video_index"].to_pylist() == list(range(70))
    place = dataset.videos.slice(69, 1).to_pylist()[0]
    [video] = read_videos(dataset.uri, place["shard"], place["row_group"], [place["row"]])
    assert video.info.video_index == 69


def test_spread_is_median_and_quartiles() -> None:
    """By hand: of 1 to 5."""
    spread = Spread.of([5, 1, 4, 2, 3])
    assert (spread.median, spread.lower_quartile, spread.upper_quartile, spread.num_rounds) == (3, 2, 4, 5)


def test_claims_are_told_by_method_with_their_spread(tmp_path: Path) -> None:
    """By hand: 40 and 44 have a mean of 42 and a deviation of 2.8; a plot is drawn."""
    results = [
        {"method": method, "seed": seed, "num_epochs": 3, "motion": motion, "appearance": 50.0, "background": 7.0}
        for method, motions in (("random", (30.0, 30.0)), ("rspnet", (40.0, 44.0)))
        for seed, motion in enumerate(motions)
    ]
    rows = table(results).splitlines()[-2:]
    assert rows == [
        "| random | 30.0 ± 0.0 | 50.0 ± 0.0 | 7.0 ± 0.0 |",
        "| rspnet | 42.0 ± 2.8 | 50.0 ± 0.0 | 7.0 ± 0.0 |",
    ]
    plot(results, tmp_path / "claims.png")
    assert (tmp_path / "claims.png").read_bytes().startswith(b"\x89PNG")


def test_the_border_of_a_picture_is_told_by_hand() -> None:
    """I420 planes of an 8 x 8 picture: a frame of 10 around 200 in luma, chroma 30 and 40 all over."""
    planes = np.full((1, 1, 1, 12, 8), 10, dtype=np.uint8)
    planes[..., 2:6, 2:6] = 200
    planes[..., 8:10, :], planes[..., 10:12, :] = 30, 40
    assert border_colours(planes).tolist() == [[10.0, 30.0, 40.0]]


@pytest.mark.slow
def test_a_claim_is_measured_once(tmp_path: Path) -> None:
    """One epoch on the embedded videos, and the probes after it; asked again, the kept encoder gives the same."""
    shards = prepare_videos(tmp_path)
    claim = Claim(method="pace", seed=0, num_epochs=1)
    first = measure(claim, shards, str(tmp_path))
    [kept] = (tmp_path / "encoders").iterdir()
    written = kept.stat().st_mtime_ns
    assert first.keys() == {"motion", "appearance", "background"}
    assert all(0 < score < 100 for score in first.values())
    assert measure(claim, shards, str(tmp_path)) == first
    assert kept.stat().st_mtime_ns == written
    assert measure(Claim(method="random", seed=0, num_epochs=1), shards, str(tmp_path)) != first
