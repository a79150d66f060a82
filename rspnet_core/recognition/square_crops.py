"""Where a classifier looks at test: the centre square, or the squares at both ends of the longer side too."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from rspnet_core.sampling.views import CropBox, ViewParameters, centre_crop, identity_numbers

Place = Literal["first", "centre", "last"]
NumCrops = Literal[1, 3]


@dataclass(frozen=True, kw_only=True)
class SquareCrop:
    """A largest even square, resized to `crop_size`: at the left or top ("first"), in the middle, or at the right or
    bottom ("last"). Nothing is random. In a square picture all three are the same."""

    crop_size: int = 112
    place: Place = "centre"

    def __post_init__(self) -> None:
        if self.place not in get_args(Place):
            raise ValueError(f"place is {self.place!r}; accepted are {', '.join(get_args(Place))}")

    def draw(
        self,
        generator: np.random.Generator | None,  # noqa: ARG002
        *,
        height: int,
        width: int,
        num_frames: int,
    ) -> ViewParameters:
        return ViewParameters(crops=(self.box(height, width),), numbers=identity_numbers(num_frames))

    def box(self, height: int, width: int) -> CropBox:
        centre = centre_crop(height, width)
        if self.place == "centre":
            return centre
        # Even, as chroma's half size asks for.
        top, left = ((side - centre.height) // 2 * 2 * (self.place == "last") for side in (height, width))
        return CropBox(top, left, centre.height, centre.width)


def square_crops(num_crops: NumCrops, crop_size: int) -> tuple[SquareCrop, ...]:
    """The centre alone, or first, centre and last. Raises ValueError for another number."""
    if num_crops not in get_args(NumCrops):
        raise ValueError(f"num_crops is {num_crops}; accepted are 1 and 3")
    places: tuple[Place, ...] = ("centre",) if num_crops == 1 else ("first", "centre", "last")
    return tuple(SquareCrop(crop_size=crop_size, place=place) for place in places)
