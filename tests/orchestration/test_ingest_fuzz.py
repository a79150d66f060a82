"""Hundreds of damaged videos through a whole ingest: each is taken and right, or refused with a reason."""

import io
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import av
import pytest
from av.sidedata.sidedata import Type
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.isolation import IsolatedMap
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import open_dataset, read_refusals
from rspnet_platform.shards.row_groups import read_videos
from rspnet_platform.videos.refusal_reasons import RefusalReason
from rspnet_platform.videos.sequential_decoding import open_video

from tests.mutated_videos import MUTATIONS, mutated
from tests.videos import SHARED_DATA, decode_all, decode_scaled, encode_video, index_first, luma_psnr, moving_pictures

NUM_OF_EACH_KIND = 10
SHORT_SIDE = 32
# What the encoder's loss leaves of clean pictures is above 30 dB; of a decoder's garbage, noise over noise, less.
LEAST_PSNR = 24
SHARED_VIDEOS = (
    "actions/golf/golf_000.avi",
    "interactions/push/push_002.avi",
    "odd_videos/hiera__dog.mp4",
    "odd_videos/sample-videos__thanks.mkv",
    "odd_videos/moviepy__no_duration.webm",
)


def intact_videos() -> dict[str, bytes]:
    """Small ones of the containers and codecs that data sets come in, and real ones where there are any."""
    pictures = moving_pictures(40, 96, 128, seed=1)
    fast = {"cpu-used": "5", "deadline": "good"}  # at the deadline "realtime" the bytes depend on the machine's load
    videos = {
        "h264.mp4": encode_video(pictures),
        "h264_index_first.mp4": index_first(encode_video(pictures)),
        "mpeg4.mp4": encode_video(pictures, codec="mpeg4"),
        "hevc.mp4": encode_video(pictures, codec="libx265", options={"x265-params": "log-level=none"}),
        "mpeg4.avi": encode_video(pictures, codec="mpeg4", container="avi"),
        "mjpeg.avi": encode_video(pictures, codec="mjpeg", container="avi", pixel_format="yuvj420p"),
        "h264.mkv": encode_video(pictures, container="matroska"),
        "vp9.webm": encode_video(pictures, codec="libvpx-vp9", container="webm", options=fast),
        "vp8.webm": encode_video(pictures, codec="libvpx", container="webm", options=fast),
        "h264.ts": encode_video(pictures, container="mpegts"),
        "mpeg2.mpg": encode_video(pictures, codec="mpeg2video", container="mpeg"),
        "wmv2.wmv": encode_video(pictures, codec="wmv2", container="asf"),
        "flv.flv": encode_video(pictures, codec="flv", container="flv"),
    }
    paths = [SHARED_DATA / name for name in SHARED_VIDEOS]
    return videos | {path.name: path.read_bytes() for path in paths if path.is_file()}


def write_mutants(folder: Path) -> int:
    """The number of files written, each named by what was done to what."""
    num_files = 0
    for name, data in intact_videos().items():
        for mutation in MUTATIONS:
            for seed in range(NUM_OF_EACH_KIND):
                (folder / f"{mutation}_{seed}_{name}").write_bytes(mutated(data, mutation, seed))
                num_files += 1
    return num_files


def compare(files: tuple[bytes, bytes, dict[str, Any]]) -> tuple[int, float]:
    """(frames that a plain sequential decode of the mutant counts, the least PSNR of a stored frame against it)."""
    mutant, stored, row = files
    with av.open(io.BytesIO(mutant), "r") as container:
        stream: Any = container.streams.best("video")
        num_frames, is_upright = 0, True
        for frame in container.decode(stream):
            num_frames += 1
            is_upright = is_upright and Type.DISPLAYMATRIX not in frame.side_data
    if stored == mutant:
        return num_frames, 99.0
    if is_upright:
        reference = decode_scaled(mutant, row["height"], row["width"])
    else:
        with open_video(mutant, short_side=SHORT_SIDE) as video:
            reference = list(video.frames)
    return num_frames, min(luma_psnr(*pair) for pair in zip(decode_all(stored), reference, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["indexed", "original"])
def test_each_mutant_is_right_or_refused(tmp_path: Path, profile: Literal["indexed", "original"]) -> None:
    """The ingest ends in order; what it took has the frames of a sequential decode of the same bytes; what it refused
    has a reason of the list, and no child process died over it."""
    source = tmp_path / "mutants"
    source.mkdir()
    num_files = write_mutants(source)
    assert num_files >= 650
    output = str(tmp_path / "out")
    config = IngestConfig(
        source=str(source), output=output, short_side=SHORT_SIDE, max_refused_fraction=1.0, min_num_frames=1,
        num_processes=2, run_on="local", profile=profile,
    )  # fmt: skip
    result = ingest(config)
    refusals = read_refusals(output)
    taken = open_dataset(output).videos.to_pylist()
    assert result.num_videos == len(taken)
    names = sorted([row["video_id"] for row in taken] + [refusal["path"] for refusal in refusals])
    assert names == sorted(path.name for path in source.iterdir())
    counts = Counter(RefusalReason(refusal["reason"]) for refusal in refusals)
    assert (
        counts[RefusalReason.CRASHED]
        == counts[RefusalReason.TIMED_OUT]
        == counts[RefusalReason.VERIFICATION_FAILED]
        == 0
    )
    assert len(taken) > 100
    assert counts[RefusalReason.DAMAGED] > 100
    assert counts[RefusalReason.INCOMPLETE] > 20
    files = []
    for row in taken:
        (video,) = read_videos(output, row["shard"], row["row_group"], [row["row"]])
        files.append(((source / row["video_id"]).read_bytes(), bytes(video.data), row))
    with IsolatedMap(compare, num_processes=2, timeout_seconds=60) as isolated:
        for row, outcome in zip(taken, isolated.run(files), strict=True):
            assert isinstance(outcome, tuple), (row["video_id"], outcome)
            num_frames, least_psnr = outcome
            assert row["num_frames"] == num_frames, row["video_id"]
            assert least_psnr > LEAST_PSNR, (row["video_id"], least_psnr)
    if profile == "original":
        assert all(stored == mutant for mutant, stored, _ in files)
