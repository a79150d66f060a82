"""Pace's choices; see `pace`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.task_config import TaskConfig, check_not_negative, check_positive
from rspnet_core.sampling.paces import PaceSampler
from rspnet_core.sampling.views import ViewConfig


def published_view() -> ViewConfig:
    """A crop of 112 x 112 of pictures brought to 128 x 171 whatever their shape, a flip, and jitter drawn for every
    frame, in 8 of 10 frames."""
    return ViewConfig(
        crop_area_fraction=(0.573, 0.573),
        crop_aspect_ratio=(128 / 171, 128 / 171),
        aspect_relative_to_picture=True,
        grayscale_probability=0.0,
        jitter_probability=0.8,
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        per_frame=("jitter",),
    )


@dataclass(frozen=True, kw_only=True)
class PaceConfig(TaskConfig):
    """One clip a video for the classification alone; two for the contrastive branch too."""

    task_name: ClassVar[str] = "pace"

    encoder: str = "c3d"
    clips: PaceSampler = field(default_factory=PaceSampler)
    view: ViewConfig = field(default_factory=published_view)
    normalisation: NormalisationName = "zero_to_255"
    contrast_weight: float = 0.0
    embedding_dim: int = 128
    temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "embedding_dim", "temperature")
        check_not_negative(self, "contrast_weight")
        if self.contrast_weight > 0 and self.clips.num_clips < 2:
            raise ValueError(
                f"contrast_weight is {self.contrast_weight} with clips.num_clips {self.clips.num_clips}; accepted: 0, "
                "or two clips of each video"
            )
