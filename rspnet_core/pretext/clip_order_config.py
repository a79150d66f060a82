"""VCOP's choices; see `clip_order`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.task_config import TaskConfig, check_positive
from rspnet_core.sampling.clip_orders import ClipOrderSampler
from rspnet_core.sampling.views import ViewConfig


def crop_alone() -> ViewConfig:
    """A crop of 112 x 112 of pictures brought to 128 x 171 whatever their shape, and nothing else."""
    return ViewConfig(
        crop_area_fraction=(0.573, 0.573),
        crop_aspect_ratio=(128 / 171, 128 / 171),
        aspect_relative_to_picture=True,
        flip_probability=0.0,
        grayscale_probability=0.0,
        jitter_probability=0.0,
    )


@dataclass(frozen=True, kw_only=True)
class ClipOrderConfig(TaskConfig):
    """The published settings: three clips of 16 frames, 8 frames apart; pairs of 512, dropout of a half."""

    task_name: ClassVar[str] = "clip_order"

    encoder: str = "r3d_10"
    clips: ClipOrderSampler = field(default_factory=ClipOrderSampler)
    view: ViewConfig = field(default_factory=crop_alone)
    normalisation: NormalisationName = "zero_to_one"
    pair_dim: int = 512
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "pair_dim")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; accepted are 0 to below 1")
