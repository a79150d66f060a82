"""What an ingest is asked to do. Imports nothing heavy: a job's `--help` reads it."""

from dataclasses import dataclass, field
from typing import Literal

from rspnet_platform.ingest.layouts.source_layout import LayoutName, SourceLayout
from rspnet_platform.shards.shard_config import ShardConfig
from rspnet_platform.videos.limits import MAX_FRAMES_PER_SECOND, MIN_FRAMES_PER_SECOND, DamageTolerance, VideoLimits


@dataclass(frozen=True, kw_only=True)
class IngestConfig:
    """One ingest: which videos, where to, and what may be refused."""

    source: str
    """A folder of class folders, a flat folder, a CSV with a column `path`, or a published data set's folder; local,
    s3:// or gs://."""
    output: str
    """The data set's folder; local, s3:// or gs://."""
    add: bool = False
    """Add the videos to the data set that is there, as its next version."""
    video_id_prefix: str = ""
    """What every video id begins with, to keep the ids of several sources apart."""
    source_root: str | None = None
    """The folder that a CSV's paths are relative to and may not leave; the CSV's own by default."""
    layout: LayoutName = "auto"
    """How the source is laid out; auto is a folder or a CSV, the others are published data sets."""
    annotations: str | None = None
    """The folder or file of a published data set's lists."""
    split_number: int | None = None
    """Which of the three published splits of UCF101 or HMDB51; the first by default."""
    test_fraction: float | None = None
    """This much of each class becomes the split test, the rest train, by whole sources; for a source without splits."""
    profile: Literal["indexed", "original"] = "indexed"
    """How pixels are stored: encoded anew for fast reading, or as the files that came."""
    short_side: int = 128
    """Pixels of the shorter side, even; the longer side keeps the aspect ratio. In the profile original, as read."""
    frames_per_second: float | None = None
    """Repeat and leave out frames by their times, for the profile indexed; by default each decoded frame stays."""
    max_refused_fraction: float = 0.1
    """More refusals than this make no data set."""
    min_num_frames: int = 2
    """A video with fewer decoded frames is refused."""
    timeout_seconds: float = 120.0
    """The time that one video may take, beside a second for each 5 million pixels that are decoded of it."""
    num_processes: int | None = None
    """Decoding processes, or on Ray the chunks of 8 videos in work at a time; as many as keep all CPUs busy by
    default."""
    run_on: Literal["auto", "local", "ray"] = "auto"
    """The cluster that RAY_ADDRESS names, as it does under ray job submit, or else this machine; or one of the two."""
    seed: int = 0
    """Of the order in which videos lie in the shards, and of the split that `test_fraction` draws."""
    limits: VideoLimits = field(default_factory=VideoLimits)
    tolerance: DamageTolerance = field(default_factory=DamageTolerance)
    shards: ShardConfig = field(default_factory=ShardConfig)

    def __post_init__(self) -> None:
        _ = self.source_layout
        if self.profile not in ("indexed", "original"):
            raise ValueError(f"profile is {self.profile!r}; accepted: 'indexed', 'original'")
        if self.frames_per_second is not None:
            self._check_frames_per_second(self.frames_per_second)
        if not (16 <= self.short_side <= 2160) or self.short_side % 2:
            raise ValueError(f"short_side is {self.short_side}; accepted: an even number from 16 to 2160")
        if self.test_fraction is not None and not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction is {self.test_fraction}; accepted: more than 0 and less than 1")
        if not 0 <= self.max_refused_fraction <= 1:
            raise ValueError(f"max_refused_fraction is {self.max_refused_fraction}; accepted: 0 to 1")
        if self.min_num_frames < 1:
            raise ValueError(f"min_num_frames is {self.min_num_frames}; accepted: 1 or more")
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds is {self.timeout_seconds}; accepted: more than 0")
        if self.num_processes is not None and self.num_processes < 1:
            raise ValueError(f"num_processes is {self.num_processes}; accepted: 1 or more, or None")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; accepted: 0 or more")

    def _check_frames_per_second(self, value: float) -> None:
        if self.profile == "original":
            raise ValueError(
                f"frames_per_second is {value} and profile 'original', which keeps each video's own bytes; accepted:"
                " no frames_per_second, or profile 'indexed'"
            )
        if not MIN_FRAMES_PER_SECOND <= value <= MAX_FRAMES_PER_SECOND:
            raise ValueError(
                f"frames_per_second is {value}; accepted: {MIN_FRAMES_PER_SECOND} to {MAX_FRAMES_PER_SECOND}"
            )

    @property
    def source_layout(self) -> SourceLayout:
        """ValueError for values that do not go together."""
        return SourceLayout(name=self.layout, annotations=self.annotations, split_number=self.split_number)
