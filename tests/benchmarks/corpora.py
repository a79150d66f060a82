"""The videos that readers are compared on, and the data sets that our own ingest makes of them."""

import csv
import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from rspnet_platform.shards.dataset import open_dataset

ROOT = Path(__file__).resolve().parents[2]
VIDEO_SUFFIXES = {".avi", ".mp4", ".mkv", ".webm", ".mov", ".3gp", ".m4v"}
KINETICS_WIDTH, KINETICS_HEIGHT = 340, 256
KINETICS_FRAMES_PER_SECOND, KINETICS_NUM_FRAMES = 30, 300
KINETICS_CODEC_OPTIONS = {"g": "250"}  # x264's defaults otherwise: preset medium, crf 23
MIN_NUM_FRAMES = 24
"""Shorter originals would be little else than their turning points."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Source files, and what the ingest made of them at `dataset_uri`; `sources` is by video index."""

    name: str
    sources: tuple[Path, ...]
    dataset_uri: str


def kinetics_style_corpus(videos: Path, num_videos: int, scratch: Path) -> Corpus:
    """Files as Kinetics is passed around: 340 x 256 H.264, a key frame every 250 frames, 10 s at 30 frames per second.

    Each is one original, played forth and back until the 10 s are full, so that no cut shortens the groups.
    """
    originals = list(itertools.islice(filter(can_be_extended, spread_over_folders(videos)), num_videos))
    folder = cache_folder(originals)
    sources = [folder / f"{position:04d}_{original.stem}.mp4" for position, original in enumerate(originals)]
    for original, source in zip(originals, sources, strict=True):
        if not source.exists():
            encode_kinetics_style(original, source)
    return ingested("kinetics_style", sources, scratch)


def original_corpus(videos: Path, num_videos: int, scratch: Path) -> Corpus:
    """The files themselves: three times as many as asked for, since not every reader reads every file."""
    return ingested("original_files", list(itertools.islice(spread_over_folders(videos), 3 * num_videos)), scratch)


def spread_over_folders(videos: Path) -> Iterator[Path]:
    """Video files below `videos`, one of each of its folders in turn, in an order that is always the same and mixes
    what lies side by side."""
    by_folder: dict[str, list[Path]] = {}
    for path in sorted(path for path in videos.rglob("*") if path.suffix in VIDEO_SUFFIXES and path.is_file()):
        by_folder.setdefault(path.relative_to(videos).parts[0], []).append(path)
    for paths in by_folder.values():
        random.Random(0).shuffle(paths)
    for row in itertools.zip_longest(*by_folder.values()):
        yield from filter(None, row)


def can_be_extended(path: Path) -> bool:
    """Whether it decodes to enough frames of an ordinary size."""
    try:
        with av.open(str(path), "r") as container:
            frames: Any = itertools.islice(container.decode(container.streams.best("video")), MIN_NUM_FRAMES)
            sides = [min(frame.width, frame.height) for frame in frames]
    except Exception:  # whatever a broken file does to libav, it is not one to make others of
        return False
    return len(sides) == MIN_NUM_FRAMES and min(sides) >= 100


def encode_kinetics_style(original: Path, target: Path) -> None:
    pictures = _scaled_pictures(original)
    order = itertools.cycle([*range(len(pictures)), *range(len(pictures) - 2, 0, -1)])
    temporary = target.with_suffix(".part")
    with av.open(str(temporary), "w", format="mp4") as output:
        stream: Any = output.add_stream("libx264", rate=KINETICS_FRAMES_PER_SECOND, options=KINETICS_CODEC_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = KINETICS_WIDTH, KINETICS_HEIGHT, "yuv420p"
        for position in itertools.islice(order, KINETICS_NUM_FRAMES):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pictures[position], format="yuv420p")))
        output.mux(stream.encode(None))
    temporary.rename(target)


def _scaled_pictures(original: Path) -> list:
    with av.open(str(original), "r") as container:
        frames: Any = itertools.islice(container.decode(container.streams.best("video")), KINETICS_NUM_FRAMES)
        scaled = (frame.reformat(KINETICS_WIDTH, KINETICS_HEIGHT, "yuv420p") for frame in frames)
        return [frame.to_ndarray() for frame in scaled]


def ingested(name: str, sources: Sequence[Path], scratch: Path) -> Corpus:
    """The data set that jobs/ingest.py makes of `sources`, below `scratch`; what it refuses is left out."""
    if not sources:
        raise ValueError("no videos to compare readers on; accepted: --videos with a folder that has some below it")
    manifest, output = scratch / f"{name}.csv", scratch / name
    by_id = {str(source.resolve()).lstrip("/"): source for source in sources}
    with manifest.open("w", newline="") as file:
        csv.writer(file).writerows([["path"], *([path] for path in by_id)])
    ingest(manifest, output)
    rows = open_dataset(str(output)).videos.sort_by("video_index").to_pylist()
    return Corpus(name=name, sources=tuple(by_id[row["video_id"]] for row in rows), dataset_uri=str(output))


def ingest(manifest: Path, output: Path) -> dict[str, Any]:
    """`jobs/ingest.py` as a user runs it."""
    command = [sys.executable, str(ROOT / "jobs" / "ingest.py"), "--source", str(manifest), "--source-root", "/"]
    command += ["--output", str(output), "--max-refused-fraction", "0.9"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def cache_folder(originals: Sequence[Path]) -> Path:
    """Where the encoded files of this choice of originals are kept; deleting it costs a minute of encoding."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    listing = "\n".join(f"{path.resolve()} {path.stat().st_size}" for path in originals)
    digest = hashlib.sha256(f"{KINETICS_CODEC_OPTIONS}\n{listing}".encode()).hexdigest()[:12]
    folder = home / "rspnet" / "benchmarks" / f"kinetics_style-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
