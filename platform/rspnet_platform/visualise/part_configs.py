"""What each part of the pictures is asked for. Imports no torch: `--help` reads it."""

from dataclasses import dataclass

from rspnet_platform.stream.data_config import Decoder

MAX_NUM_VIDEOS = 200
"""Nobody looks at more."""


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """`shards`: the folder or URI that jobs/ingest.py wrote; `version`: of it, none for the newest; `split`: choose
    among this one alone, "all" for every video; `decoder`: of a data set of the profile `original`, none for "pyav"."""

    shards: str
    version: int | None = None
    split: str = "all"
    decoder: Decoder | None = None


@dataclass(frozen=True, kw_only=True)
class RoiMapsConfig:
    """What a task's heads find alike in two clips of a video: a sheet and a movie of each pair.

    `model`: the folder of a run or of one of its checkpoints, for the heads are needed; `output`: a folder;
    `num_videos`: drawn by `seed`, one of each class in turn; `videos`: these ids instead.
    """

    model: str
    data: DataChoice
    output: str
    num_videos: int = 6
    videos: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_num_videos(len(self.videos) if self.videos else self.num_videos)
        check_seed(self.seed)


def check_num_videos(num_videos: int) -> None:
    if not 1 <= num_videos <= MAX_NUM_VIDEOS:
        raise ValueError(f"num_videos is {num_videos}; accepted are 1 to {MAX_NUM_VIDEOS}")


def check_seed(seed: int) -> None:
    if seed < 0:
        raise ValueError(f"seed is {seed}; accepted are whole numbers from 0 on")
