"""What each part of the pictures is asked for. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field

from rspnet_platform.inference.evaluation_config import RUN_PROTOCOLS
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.tracking.tracking_config import TrackingConfig

MAX_NUM_VIDEOS = 200
"""Nobody looks at more."""
MAX_NUM_THUMBNAILS = 600
"""On one page, which is then at most 40 MB, and as a rule a quarter of that."""
CPUS_PER_DECODE_TASK = 0.5


@dataclass(frozen=True, kw_only=True)
class DataChoice:
    """`shards`: the folder or URI that jobs/ingest.py wrote; `version`: of it, none for the newest; `decoder`: of a
    data set of the profile `original`, none for "pyav"."""

    shards: str
    version: int | None = None
    decoder: Decoder | None = None


@dataclass(frozen=True, kw_only=True)
class RoiMapsConfig:
    """What a task's heads find alike in two clips of a video: a sheet and a movie of each pair.

    `model`: the folder of a run or of one of its checkpoints, for the heads are needed; `output`: a folder;
    `num_videos`: drawn by `seed` from `split` ("all" for every video), one of each class in turn; `videos`: these ids
    instead.
    """

    model: str
    data: DataChoice
    output: str
    split: str = "all"
    num_videos: int = 6
    videos: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        check_num_videos(len(self.videos) if self.videos else self.num_videos)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class GalleryConfig:
    """Queries with their nearest videos, moving, right or wrong, beside a random initialisation: one page (HTML).

    `model`: models:/NAME@ALIAS, a run's folder, a checkpoint, an encoder's file or random:ENCODER; `data` needs labels;
    `output`: a folder; `protocol`: how features are pooled and compared; `num_queries`: drawn by `seed`, one of each
    class in turn, each with `num_nearest` videos.
    """

    model: str
    data: DataChoice
    output: str
    protocol: str = "rspnet_paper"
    num_queries: int = 18
    num_nearest: int = 5
    seed: int = 0
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        check_protocol(self.protocol)
        check_seed(self.seed)
        for name in ("num_queries", "num_nearest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are whole numbers from 1 on")
        num_thumbnails = self.num_queries * (1 + 2 * self.num_nearest)
        if num_thumbnails > MAX_NUM_THUMBNAILS:
            raise ValueError(
                f"num_queries {self.num_queries} with num_nearest {self.num_nearest} make {num_thumbnails} thumbnails; "
                f"accepted are up to {MAX_NUM_THUMBNAILS}"
            )


@dataclass(frozen=True, kw_only=True)
class EmbeddingMapConfig:
    """All videos as points in a plane, coloured by class, beside a random initialisation: one picture (SVG).

    `model` and `protocol` as for the gallery; `output`: a folder; `split`: "all" for every video; `seed` draws the
    videos where there are too many to see.
    """

    model: str
    data: DataChoice
    output: str
    split: str = "all"
    protocol: str = "rspnet_paper"
    seed: int = 0
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        check_protocol(self.protocol)
        check_seed(self.seed)


@dataclass(frozen=True, kw_only=True)
class ConfusionMatrixConfig:
    """Which class is taken for which: each query is given the class of its nearest video (HTML).

    `model`, `data` and `protocol` as for the gallery; `output`: a folder.
    """

    model: str
    data: DataChoice
    output: str
    protocol: str = "rspnet_paper"
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        check_protocol(self.protocol)


@dataclass(frozen=True, kw_only=True)
class CurvesConfig:
    """A run's losses, accuracies, learning rate, throughput and where its time went, out of MLflow (HTML).

    `run`: a run's folder; `output`: a folder, the run's own by default; `tracking.uri`: the run's own by default.
    """

    run: str
    output: str | None = None
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """All of it on one page: numbers, curves, nearest videos, confusion, RoI maps, the map, config and data (HTML).

    `run`: the folder of a pretraining or a fine-tuning run; `output` and `tracking.uri` as for the curves; `seed` draws
    what is shown.
    """

    run: str
    output: str | None = None
    seed: int = 0
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        check_seed(self.seed)


def check_protocol(protocol: str) -> None:
    if protocol not in RUN_PROTOCOLS:
        raise ValueError(f"protocol is {protocol!r}; accepted for pictures are {', '.join(RUN_PROTOCOLS)}")


def check_num_videos(num_videos: int) -> None:
    if not 1 <= num_videos <= MAX_NUM_VIDEOS:
        raise ValueError(f"num_videos is {num_videos}; accepted are 1 to {MAX_NUM_VIDEOS}")


def check_seed(seed: int) -> None:
    if seed < 0:
        raise ValueError(f"seed is {seed}; accepted are whole numbers from 0 on")
