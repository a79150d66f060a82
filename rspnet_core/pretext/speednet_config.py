"""SpeedNet's choices; see `speednet`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.pretext.task_config import TaskConfig
from rspnet_core.sampling.speed_classes import SpeedClassSampler
from rspnet_core.sampling.views import ViewConfig


def resizing_view() -> ViewConfig:
    """A square of 4 to 100 % of the picture's area, a flip, no change of colours."""
    return ViewConfig(
        crop_size=224,
        crop_area_fraction=(0.04, 1.0),
        crop_aspect_ratio=(1.0, 1.0),
        grayscale_probability=0.0,
        jitter_probability=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class SpeedNetConfig(TaskConfig):
    """Two clips of one segment, at a normal and at a higher speed."""

    task_name: ClassVar[str] = "speednet"

    encoder: str = "s3dg_full_time"
    clips: SpeedClassSampler = field(default_factory=SpeedClassSampler)
    view: ViewConfig = field(default_factory=resizing_view)
