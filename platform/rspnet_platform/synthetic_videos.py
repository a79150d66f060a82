"""The embedded default data set: rendered videos whose motion and appearance are known and independent.

Each combination of a motion and an appearance is a class. Colours, background, position, size, phase,
direction and speed are drawn at random for each video, so that none of them tells the class.
"""

import csv
import dataclasses
import io
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8

from rspnet_platform import storage
from rspnet_platform.synthetic_scenes import APPEARANCES, MOTIONS, draw_scene, render_scene

CSV_NAME = "videos.csv"
MARKER_NAME = "synthetic_videos.json"
_CSV_COLUMNS = ("path", "label", "split", "source")
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "18", "mbtree": "0"}  # mbtree: see ingest.transcoding


@dataclass(frozen=True, kw_only=True)
class SyntheticVideosConfig:
    """`num_videos_per_combination` of each of the 16 classes; every fourth is a test video."""

    num_videos_per_combination: int = 20
    num_frames: int = 48
    height: int = 96
    width: int = 128
    frames_per_second: int = 25
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_videos_per_combination < 1:
            raise ValueError(f"num_videos_per_combination is {self.num_videos_per_combination}; accepted: 1 or more")
        if self.num_frames < 2:
            raise ValueError(f"num_frames is {self.num_frames}; accepted: 2 or more")
        if min(self.height, self.width) < 64 or self.height % 2 or self.width % 2:
            raise ValueError(f"{self.width}x{self.height} was asked; accepted: even sides of 64 or more")
        if self.frames_per_second < 1:
            raise ValueError(f"frames_per_second is {self.frames_per_second}; accepted: 1 or more")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; accepted: 0 or more")


def render(folder: str | Path, config: SyntheticVideosConfig) -> Path:
    """Renders the videos into class folders below `folder`, with a CSV of them, and returns the CSV's path.

    A marker is written last: a finished folder is left as it is, an unfinished one is rendered anew.
    ValueError when the folder holds videos of another configuration.
    """
    folder = Path(folder).absolute()
    marker, manifest = folder / MARKER_NAME, folder / CSV_NAME
    expected = dataclasses.asdict(config)
    if marker.exists():
        found = json.loads(marker.read_bytes())
        if found != expected:
            raise ValueError(f"{folder} holds videos of {found}; accepted: {expected}, or another folder")
        return manifest
    rows = []
    for motion, appearance in itertools.product(MOTIONS, APPEARANCES):
        label = f"{motion}_{appearance}"
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(config.num_videos_per_combination):
            path = f"{label}/{label}_{index:03d}.mp4"
            (folder / path).write_bytes(render_video(config, motion, appearance, index))
            split = "test" if index % 4 == 3 else "train"
            rows.append((path, label, split, Path(path).stem))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([_CSV_COLUMNS, *rows])
    storage.write_bytes(str(manifest), text.getvalue().encode())
    storage.write_json(str(marker), expected)
    return manifest


def render_video(config: SyntheticVideosConfig, motion: str, appearance: str, index: int) -> bytes:
    """The MP4 bytes of one video; equal arguments give equal pictures."""
    key = (config.seed, list(MOTIONS).index(motion), list(APPEARANCES).index(appearance), index)
    scene = draw_scene(motion, appearance, config.height, config.width, np.random.default_rng(key))
    return _encode(render_scene(scene, config.num_frames), config.frames_per_second)


def _encode(pictures: UInt8[np.ndarray, "time planes_height width"], frames_per_second: int) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=frames_per_second, options=_CODEC_OPTIONS)
        stream.height, stream.width = pictures.shape[1] * 2 // 3, pictures.shape[2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        output.mux(stream.encode(None))
    return buffer.getvalue()
