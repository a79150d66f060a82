"""What must be known of an encoder beside its weights: `encoder.json`; costs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from rspnet_core.encoders import check_encoder_name
from rspnet_core.evaluation.retrieval_protocol import CARD_POOLINGS, Pooling
from rspnet_core.normalisation import NormalisationName, check_normalisation
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end

SCHEMA_VERSION = 3


@dataclass(frozen=True, kw_only=True)
class EncoderInput:
    """How a video becomes the clips that the encoder was made for, and its feature map one vector.

    The video is scaled to `short_side`; `num_clips` evenly spaced clips are looked at through the largest
    centre square, resized to `crop_size`. `pooling`: "average" over time and space, or "spatial_max", the
    maximum over space and then the mean over time (the RSPNet paper's retrieval).
    """

    num_frames_per_clip: int = 16
    frame_stride: int = 1
    crop_size: int = 112
    short_side: int = 128
    num_clips: int = 10
    pooling: Pooling = "average"
    past_the_end: PastTheEnd = "loop"
    normalisation: NormalisationName = "imagenet"

    def __post_init__(self) -> None:
        check_normalisation(self.normalisation)
        for name in ("num_frames_per_clip", "frame_stride", "num_clips"):
            _check_whole_number(name, getattr(self, name))
        for name in ("crop_size", "short_side"):
            value = getattr(self, name)
            _check_whole_number(name, value)
            if value % 2:
                raise ValueError(f"{name} is {value}; accepted are even numbers (chroma is half size)")
        if self.pooling not in CARD_POOLINGS:
            raise ValueError(f"pooling is {self.pooling!r}; accepted are {', '.join(CARD_POOLINGS)}")
        check_past_the_end(self.past_the_end)

    @property
    def sampler(self) -> EvenlySpacedSampler:
        return EvenlySpacedSampler(
            num_clips=self.num_clips,
            num_frames_per_clip=self.num_frames_per_clip,
            frame_stride=self.frame_stride,
            past_the_end=self.past_the_end,
        )


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """An encoder's name and input, the method that trained it, the protocol that its metrics come from.
    `weights_sha256`: of the weights that the card was saved with; empty for a card that was not."""

    encoder: str
    feature_dim: int
    input: EncoderInput = field(default_factory=EncoderInput)
    method: str = "random"
    protocol: str = ""
    weights_sha256: str = field(default="", compare=False)  # cards are compared by what they say of the input

    def __post_init__(self) -> None:
        check_encoder_name(self.encoder)
        _check_whole_number("feature_dim", self.feature_dim)

    def to_json_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_json_dict(cls, content: Mapping[str, Any]) -> "EncoderCard":
        """Raises ValueError for an unknown schema version, an unknown or missing key, or a refused value."""
        rest = dict(content)
        if (version := rest.pop("schema_version", None)) not in (1, 2, SCHEMA_VERSION):
            raise ValueError(f"encoder card has schema_version {version!r}; accepted are 1, 2 and {SCHEMA_VERSION}")
        if version == 1 and isinstance(rest.get("input"), Mapping):
            rest["input"] = {"normalisation": "imagenet", **rest["input"]}  # there was no other
        if version < SCHEMA_VERSION:
            rest = {"weights_sha256": "", **rest}
        _check_keys("encoder card", rest, cls)
        _check_keys("encoder card's input", rest["input"], EncoderInput)
        return cls(**{**rest, "input": EncoderInput(**rest["input"])})


def _check_keys(place: str, content: object, card_class: type) -> None:
    expected = {key.name for key in fields(card_class)}
    if not isinstance(content, Mapping) or set(content) != expected:
        found = sorted(map(str, content)) if isinstance(content, Mapping) else repr(content)
        raise ValueError(f"{place} has {found}; accepted are exactly {sorted(expected)}")


def _check_whole_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; accepted are whole numbers from 1 on")
