"""What the configs of all pretext tasks have in common. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar

from rspnet_core.encoders import check_encoder_name
from rspnet_core.normalisation import NormalisationName, check_normalisation
from rspnet_core.sampling.clip_plan import ClipSampler
from rspnet_core.sampling.views import ViewConfig


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """`clips` plans a sample, `view` draws how its clips are looked at, `normalisation` is of the encoder's input, in
    training and ever after. `sync_batch_norm`: batch statistics of the global batch instead of each worker's own part;
    torch has it on GPUs alone, and one worker has it anyway."""

    task_name: ClassVar[str]
    """The key in `PRETEXT_TASKS`."""

    encoder: str = "r3d_18"
    clips: ClipSampler
    view: ViewConfig = field(default_factory=ViewConfig)
    normalisation: NormalisationName = "imagenet"
    sync_batch_norm: bool = False

    def __post_init__(self) -> None:
        check_encoder_name(self.encoder)
        check_normalisation(self.normalisation)

    @property
    def views(self) -> tuple[ViewConfig, ...]:
        """Of augmentation group 0, 1, ..., and again from the first on."""
        return (self.view,)


def check_positive(config: object, *names: str) -> None:
    """Raises ValueError for a field that is not above 0."""
    for name in names:
        if getattr(config, name) <= 0:
            raise ValueError(f"{name} is {getattr(config, name)}; accepted are numbers above 0")


def check_not_negative(config: object, *names: str) -> None:
    """Raises ValueError for a field below 0."""
    for name in names:
        if getattr(config, name) < 0:
            raise ValueError(f"{name} is {getattr(config, name)}; accepted are numbers from 0 on")


def check_choice(config: object, name: str, accepted: tuple[str, ...]) -> None:
    """Raises ValueError for a field that is none of the accepted words."""
    if getattr(config, name) not in accepted:
        raise ValueError(f"{name} is {getattr(config, name)!r}; accepted are {', '.join(accepted)}")
