"""What an embedding of a data set is asked to do. Imports nothing heavy: a job's `--help` reads it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from rspnet_platform.inference.model_reference import MODEL_REFERENCE_HELP
from rspnet_platform.stream.data_config import EVERY_SPLIT, Decoder
from rspnet_platform.tracking.tracking_config import TrackingConfig


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """Which videos, through which encoder, and where to."""

    model: Annotated[str, tyro.conf.arg(help=MODEL_REFERENCE_HELP)]
    data: str
    """The data set's folder, as jobs/ingest.py made it; local, s3:// or gs://."""
    output: str
    """The folder of the Parquet files; local, s3:// or gs://. The same command goes on with what is there."""
    num_clips: int | None = None
    """Evenly spaced clips a video; as many as the model's card says by default."""
    num_crops: Literal[1, 3] = 1
    """Of each clip: the centre square, or also the ones at both ends of the longer side."""
    split: str = EVERY_SPLIT
    """The videos of this split alone; all takes every video."""
    version: int | None = None
    """Of the data set; the newest by default."""
    decoder: Decoder | None = None
    """How a data set of the profile original is decoded; pyav by default."""
    num_videos_per_part: int = 256
    """In one Parquet file, which is what an interruption costs at the most."""
    num_actors: int | None = None
    """Copies of the encoder at work; by default one a GPU, or as many as the CPUs leave beside decoding."""
    use_gpu: bool | None = None
    """By default where the cluster has any."""
    cpus_per_decode_task: float = 0.5
    """What a task that reads and decodes videos takes of the cluster."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    """Where models:/... is looked up."""

    def __post_init__(self) -> None:
        for name in ("num_clips", "num_videos_per_part", "num_actors"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; accepted are whole numbers from 1 on")
        if self.num_crops not in (1, 3):
            raise ValueError(f"num_crops is {self.num_crops}; accepted are 1 and 3")
        if self.cpus_per_decode_task <= 0:
            raise ValueError(f"cpus_per_decode_task is {self.cpus_per_decode_task}; accepted are numbers above 0")
