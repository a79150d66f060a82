"""How a clip is looked at: one draw of crop and augmentation for all of its frames (temporally consistent).

The crop is applied where the clip is decoded, on the CPU; the rest travels as a few numbers a clip and is
applied in batches on the training device (`rspnet_core.augmentation`), which knows them by their place in
`VIEW_NUMBERS`.
"""

from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple

import numpy as np

VIEW_NUMBERS = (
    "flip",
    "grayscale",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "jitter_order",
    "blur_sigma",
)
JITTER_ORDERS = tuple(permutations(("brightness", "contrast", "saturation", "hue")))


class CropBox(NamedTuple):
    """In pixels of the decoded frame; all four are even, so that the half-size chroma planes crop exactly."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class ViewParameters:
    """One drawn view: where to crop, and the numbers in the order of `VIEW_NUMBERS`."""

    crop: CropBox
    numbers: tuple[float, ...]


IDENTITY_NUMBERS = (0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0)
"""No flip, no grayscale, jitter factors of one, no hue shift, no blur."""


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Random-resized crop, flip, grayscale, colour jitter and blur; the defaults are the published RSPNet
    code's.

    Brightness, contrast and saturation factors are uniform in [max(0, 1 - x), 1 + x], the hue shift in [-hue,
    hue] turns; jitter operations come in a random order. `blur_sigma` is the range of sigma in pixels. The
    crop box follows torchvision's RandomResizedCrop (ten tries, then a centre crop), rounded to even pixels.
    """

    crop_size: int = 112
    crop_area_fraction: tuple[float, float] = (0.4, 1.0)
    crop_aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5
    grayscale_probability: float = 0.2
    jitter_probability: float = 1.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.4
    blur_probability: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        if self.crop_size < 2 or self.crop_size % 2:
            raise ValueError(
                f"crop_size is {self.crop_size}; accepted are even numbers from 2 on (chroma is half size)"
            )
        for name in ("flip_probability", "grayscale_probability", "jitter_probability", "blur_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are 0 to 1")
        for name in ("brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are numbers from 0 on")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue is {self.hue}; accepted are 0 to 0.5 turns")
        for name, upper in (("crop_area_fraction", 1.0), ("crop_aspect_ratio", None), ("blur_sigma", None)):
            low, high = getattr(self, name)
            if not 0 < low <= high or (upper is not None and high > upper):
                raise ValueError(
                    f"{name} is {(low, high)}; accepted: 0 < low <= high" + (f" <= {upper}" if upper else "")
                )

    def draw(self, generator: np.random.Generator, *, height: int, width: int) -> ViewParameters:
        """One view of a video of `height` x `width` pixels. Every number is drawn, used or not, so that
        switching one operation off leaves the others as they were."""
        crop = self._draw_crop(generator, height, width)
        flip, gray, jitter, blur = (generator.random(4) < self._probabilities()).tolist()
        factors = [generator.uniform(max(0.0, 1 - x), 1 + x) for x in (self.brightness, self.contrast, self.saturation)]
        hue = generator.uniform(-self.hue, self.hue)
        order = int(generator.integers(len(JITTER_ORDERS)))
        sigma = generator.uniform(*self.blur_sigma)
        if not jitter:
            factors, hue = [1.0, 1.0, 1.0], 0.0
        return ViewParameters(crop=crop, numbers=(float(flip), float(gray), *factors, hue, float(order), sigma * blur))

    def _probabilities(self) -> list[float]:
        return [
            self.flip_probability,
            self.grayscale_probability,
            self.jitter_probability,
            self.blur_probability,
        ]

    def _draw_crop(self, generator: np.random.Generator, height: int, width: int) -> CropBox:
        low, high = np.log(self.crop_aspect_ratio)
        for _ in range(10):
            area = height * width * generator.uniform(*self.crop_area_fraction)
            aspect = np.exp(generator.uniform(low, high))
            crop_width, crop_height = to_even((area * aspect) ** 0.5), to_even((area / aspect) ** 0.5)
            if 2 <= crop_width <= width and 2 <= crop_height <= height:
                top = 2 * int(generator.integers((height - crop_height) // 2, endpoint=True))
                left = 2 * int(generator.integers((width - crop_width) // 2, endpoint=True))
                return CropBox(top, left, crop_height, crop_width)
        return centre_crop(height, width)


@dataclass(frozen=True, kw_only=True)
class CentreView:
    """The largest centre square, resized to `crop_size`: what evaluation looks at. Nothing is random."""

    crop_size: int = 112

    def draw(self, generator: np.random.Generator | None, *, height: int, width: int) -> ViewParameters:  # noqa: ARG002
        return ViewParameters(crop=centre_crop(height, width), numbers=IDENTITY_NUMBERS)


def centre_crop(height: int, width: int) -> CropBox:
    """The largest even square in the middle."""
    side = min(height, width) // 2 * 2
    return CropBox((height - side) // 4 * 2, (width - side) // 4 * 2, side, side)


def to_even(pixels: float) -> int:
    return 2 * round(pixels / 2)
