"""CVRL's choices; see `cvrl`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field, replace
from typing import ClassVar

from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.batch_contrast_config import BatchContrastConfig
from rspnet_core.sampling.temporal_intervals import TemporalIntervalSampler
from rspnet_core.sampling.views import ViewConfig


def first_view() -> ViewConfig:
    """Crops of 0.3 to 1 of the area at aspects of 1/2 to 2; jitter of strength 1 in 8 of 10; always blurred."""
    return ViewConfig(
        crop_size=224,
        crop_area_fraction=(0.3, 1.0),
        crop_aspect_ratio=(0.5, 2.0),
        jitter_probability=0.8,
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        blur_probability=1.0,
    )


def second_view() -> ViewConfig:
    """The same, but blurred in one of ten, and solarised in one of five."""
    return replace(first_view(), blur_probability=0.1, solarise_probability=0.2)


@dataclass(frozen=True, kw_only=True)
class CVRLConfig(BatchContrastConfig):
    """The published settings: R3D-50, 16 frames at stride 2, 224 pixels, temperature 0.1; batches of 1,024 videos."""

    task_name: ClassVar[str] = "cvrl"

    encoder: str = "r3d_50"
    clips: TemporalIntervalSampler = field(default_factory=TemporalIntervalSampler)
    view: ViewConfig = field(default_factory=first_view)
    second_view: ViewConfig = field(default_factory=second_view)
    normalisation: NormalisationName = "zero_to_one"
    sync_batch_norm: bool = True
    min_global_batch_size: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.second_view.crop_size != self.view.crop_size:
            raise ValueError(
                f"second_view.crop_size is {self.second_view.crop_size} and view.crop_size {self.view.crop_size}; "
                "accepted: the same"
            )

    @property
    def views(self) -> tuple[ViewConfig, ...]:
        return self.view, self.second_view
