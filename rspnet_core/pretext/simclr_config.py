"""Rho-SimCLR's choices; see `simclr`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.encoders.head_kinds import HeadKind
from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.batch_contrast_config import BatchContrastConfig
from rspnet_core.pretext.moco_config import study_view
from rspnet_core.sampling.independent_clips import IndependentClipSampler
from rspnet_core.sampling.views import ViewConfig


@dataclass(frozen=True, kw_only=True)
class SimCLRConfig(BatchContrastConfig):
    """The study's settings: slow R50 at 8 x 8, temperature 0.1, batches of 512 videos, LARS."""

    task_name: ClassVar[str] = "simclr"

    encoder: str = "slow_r50"
    clips: IndependentClipSampler = field(default_factory=IndependentClipSampler)
    view: ViewConfig = field(default_factory=study_view)
    normalisation: NormalisationName = "slowfast"
    head: HeadKind = "mlp_3"
    sync_batch_norm: bool = True
    min_global_batch_size: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clips.num_clips < 2:
            raise ValueError(f"clips.num_clips is {self.clips.num_clips}; accepted are 2 or more: one finds another")
