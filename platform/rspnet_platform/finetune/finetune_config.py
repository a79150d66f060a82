"""The root of a fine-tuning run's config."""

from dataclasses import dataclass, field
from typing import Annotated, get_args

import tyro

from rspnet_core.recognition.recognition_config import RecognitionConfig
from rspnet_core.recognition.square_crops import NumCrops
from rspnet_platform.config import TrainingRunConfig
from rspnet_platform.inference.model_reference import MODEL_REFERENCE_HELP
from rspnet_platform.tracking.tracking_config import TrackingConfig

SEEDS_HELP = "A run for each, on each data set; none takes training.seed alone. More may be added to a name later."
MORE_SPLITS_HELP = (
    "Other splits of the same videos: data sets as data.shards is one, for mean and spread over them too."
)


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """The epoch that is tested is chosen on a part of the training videos, never on the test videos.

    `fraction`: of each class's training videos, put aside by their `source` and by the run's seed, and not trained on;
    0 trains on all and takes the last epoch. Each epoch's weights are kept in the run's folder until one is chosen.
    `num_clips_per_crop`: centre clips of each validation video.
    """

    fraction: float = 0.1
    num_clips_per_crop: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.fraction <= 0.5:
            raise ValueError(f"validation.fraction is {self.fraction}; accepted are 0 to 0.5")
        check_num_clips("validation", self.num_clips_per_crop)


@dataclass(frozen=True, kw_only=True)
class HeldOutTestConfig:
    """`num_clips_per_crop` clips of each video of `split`, each through `num_crops` squares: 1, in the centre, or 3,
    along the longer side."""

    split: str = "test"
    num_clips_per_crop: int = 10
    num_crops: NumCrops = 1

    def __post_init__(self) -> None:
        check_num_clips("test", self.num_clips_per_crop)
        if self.num_crops not in get_args(NumCrops):
            raise ValueError(f"test.num_crops is {self.num_crops}; accepted are 1 and 3")


def check_num_clips(place: str, num_clips: int) -> None:
    if num_clips < 1:
        raise ValueError(f"{place}.num_clips_per_crop is {num_clips}; accepted are whole numbers from 1 on")


def classifier_tracking() -> TrackingConfig:
    """Classifiers are registered under a name of their own: what encoders go by would no longer embed."""
    return TrackingConfig(model_name="rspnet-classifier")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingRunConfig):
    """One run for each seed on each data set, under one name; those that have finished are not run again."""

    model: Annotated[str, tyro.conf.arg(help=MODEL_REFERENCE_HELP)] = ""
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(help=SEEDS_HELP)] = ()
    more_splits: Annotated[tuple[str, ...], tyro.conf.arg(help=MORE_SPLITS_HELP)] = ()
    task: RecognitionConfig = field(default_factory=RecognitionConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    test: HeldOutTestConfig = field(default_factory=HeldOutTestConfig)
    tracking: TrackingConfig = field(default_factory=classifier_tracking)

    def __post_init__(self) -> None:
        for name in ("seeds", "more_splits"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} are {values}; accepted are different ones")
        if any(seed < 0 for seed in self.seeds):
            raise ValueError(f"seeds are {self.seeds}; accepted are whole numbers from 0 on")

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return self.seeds or (self.training.seed,)
