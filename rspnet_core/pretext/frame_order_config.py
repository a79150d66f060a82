"""OPN's choices; see `frame_order`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.task_config import TaskConfig, check_not_negative, check_positive
from rspnet_core.sampling.frame_orders import FrameOrderSampler
from rspnet_core.sampling.views import ViewConfig


def patch_view() -> ViewConfig:
    """A patch of 80 pixels out of about half the picture, and a flip, for all four frames alike."""
    return ViewConfig(crop_size=80, crop_area_fraction=(0.4, 0.6), grayscale_probability=0.0, jitter_probability=0.0)


@dataclass(frozen=True, kw_only=True)
class FrameOrderConfig(TaskConfig):
    """Four frames; pairs of 512, dropout of a half."""

    task_name: ClassVar[str] = "frame_order"

    encoder: str = "slow_r50"
    clips: FrameOrderSampler = field(default_factory=FrameOrderSampler)
    view: ViewConfig = field(default_factory=patch_view)
    normalisation: NormalisationName = "zero_to_one"
    splits_channels: bool = True
    max_shift_pixels: int = 5
    pair_dim: int = 512
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "pair_dim")
        check_not_negative(self, "max_shift_pixels")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; accepted are 0 to below 1")
