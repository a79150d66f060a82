"""Rho-MoCo's choices; see `moco`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.encoders.head_kinds import HeadKind
from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.momentum_contrast_config import MomentumContrastConfig
from rspnet_core.sampling.independent_clips import IndependentClipSampler
from rspnet_core.sampling.views import ViewConfig


def study_view() -> ViewConfig:
    """The study's augmentation: relative area 0.2 to 0.766, jitter 0.6, 0.6, 0.6, 0.15 in 8 of 10 clips, grayscale in 2
    of 10, blur in half of them. (There grayscale comes after jitter: the same here, see `augmentation`.)"""
    return ViewConfig(
        crop_size=224,
        crop_area_fraction=(0.2, 0.766),
        jitter_probability=0.8,
        brightness=0.6,
        contrast=0.6,
        saturation=0.6,
        hue=0.15,
        blur_probability=0.5,
    )


@dataclass(frozen=True, kw_only=True)
class MoCoConfig(MomentumContrastConfig):
    """The defaults are the study's: slow R50 at 8 x 8, queue 65,536, temperature 0.1, momentum 0.994 annealed to 1."""

    task_name: ClassVar[str] = "moco"

    encoder: str = "slow_r50"
    clips: IndependentClipSampler = field(default_factory=IndependentClipSampler)
    view: ViewConfig = field(default_factory=study_view)
    normalisation: NormalisationName = "slowfast"
    head: HeadKind = "mlp_3"
    temperature: float = 0.1
    queue_size: int = 65536
    key_momentum: float = 0.994
    anneals_key_momentum: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clips.num_clips < 2:
            raise ValueError(f"clips.num_clips is {self.clips.num_clips}; accepted are 2 or more: one finds another")
