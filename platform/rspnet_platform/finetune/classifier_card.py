"""What must be known of a fine-tuned classifier beside its weights: `classifier.json`; costs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rspnet_core.normalisation import NormalisationName, check_normalisation
from rspnet_core.recognition.clip_samplers import EvaluationClipSampler, TrainingClipSampler
from rspnet_core.recognition.recognition_config import RecognitionConfig
from rspnet_core.recognition.square_crops import NumCrops, SquareCrop, square_crops

SCHEMA_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class ClassifierCard:
    """A video is scaled to `short_side`; `num_clips_per_crop` of `clips` are looked at through `num_crops` squares,
    resized to `crop_size`, and their softmax is averaged. `protocol` is what its metrics come from.
    `weights_sha256`: of the weights that the card was saved with; empty for a card that was not."""

    encoder: str
    class_names: tuple[str, ...]
    clips: TrainingClipSampler = field(default_factory=TrainingClipSampler)
    num_clips_per_crop: int = 10
    num_crops: NumCrops = 1
    crop_size: int = 112
    short_side: int = 128
    normalisation: NormalisationName = "imagenet"
    protocol: str = ""
    weights_sha256: str = field(default="", compare=False)  # cards are compared by what they say of the input

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation)
        if len(set(self.class_names)) < max(2, len(self.class_names)):
            raise ValueError(f"class_names are {self.class_names}; accepted are two or more different ones")

    @property
    def task(self) -> RecognitionConfig:
        """Of a network that takes these weights."""
        return RecognitionConfig(encoder=self.encoder, num_classes=len(self.class_names), clips=self.clips)

    @property
    def sampler(self) -> EvaluationClipSampler:
        return EvaluationClipSampler(
            training=self.clips, num_clips_per_crop=self.num_clips_per_crop, num_crops=self.num_crops
        )

    @property
    def squares(self) -> tuple[SquareCrop, ...]:
        """A clip's is that of its augmentation group."""
        return square_crops(self.num_crops, self.crop_size)

    def to_json_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_json_dict(cls, content: Mapping[str, Any]) -> "ClassifierCard":
        """Raises ValueError for an unknown schema version, an unknown or missing key, or a refused value."""
        rest = dict(content)
        if (version := rest.pop("schema_version", None)) not in (1, SCHEMA_VERSION):
            raise ValueError(f"classifier card has schema_version {version!r}; accepted are 1 and {SCHEMA_VERSION}")
        if version < SCHEMA_VERSION:
            rest = {"weights_sha256": "", **rest}
        expected = {key.name for key in fields(cls)}
        if set(rest) != expected:
            raise ValueError(
                f"classifier card has {sorted(rest)}; accepted are exactly {[f.name for f in fields(cls)]}"
            )
        rest |= {"clips": TrainingClipSampler(**rest["clips"]), "class_names": tuple(rest["class_names"])}
        return cls(**rest)
