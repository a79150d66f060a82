"""How a clip is looked at: crop and augmentation, one draw for all of its frames or one for each.

The crop is applied where the clip is decoded, on the CPU; the rest travels as a few numbers a frame and is
applied in batches on the training device (`rspnet_core.augmentation`), which knows them by their place in
`VIEW_NUMBERS`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

VIEW_NUMBERS = (
    "flip",
    "channel",
    "grayscale",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "contrast_of_frame",
    "blur_sigma",
    "solarise",
)
"""`channel`: 1, 2 or 3 for red, green or blue in place of all three, 0 for all. `contrast_of_frame`: 1 for contrast
towards the frame's own mean instead of the clip's. `blur_sigma` is in pixels, 0 for none. `solarise`: the threshold in
0 to 1 from which pixels are inverted, 0 for none."""

IDENTITY_NUMBERS = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)

Operation = Literal["crop", "flip", "channel", "grayscale", "jitter", "blur", "solarise"]
COLUMNS: dict[str, tuple[str, ...]] = {
    "crop": (),
    "flip": ("flip",),
    "channel": ("channel",),
    "grayscale": ("grayscale",),
    "jitter": ("brightness", "contrast", "saturation", "hue", "contrast_of_frame"),
    "blur": ("blur_sigma",),
    "solarise": ("solarise",),
}
"""Where each operation's numbers are."""


class CropBox(NamedTuple):
    """In pixels of the decoded frame; all four are even, so that the half-size chroma planes crop exactly."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class ViewParameters:
    """One drawn view. `crops`: one box for all frames, or one for each. `numbers`: float32 [num_frames, view_numbers]
    in the order of `VIEW_NUMBERS`."""

    crops: tuple[CropBox, ...]
    numbers: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Random-resized crop, flip, channel splitting, grayscale, colour jitter, blur and solarising, in that order; the
    defaults are the published RSPNet code's.

    Brightness, contrast and saturation factors are uniform in [max(0, 1 - x), 1 + x], the hue shift in [-hue, hue]
    turns. `blur_sigma` is the range of sigma in pixels. Channel splitting shows one of red, green and blue, drawn
    uniformly, in place of all three (OPN, CoCLR). The crop box follows torchvision's RandomResizedCrop (ten tries, then
    a centre crop), rounded to even pixels. `aspect_relative_to_picture`: `crop_aspect_ratio` is in multiples of the
    picture's own, which is what it comes to where a method resizes all pictures to one shape and crops then.

    Operations are drawn once a clip (temporally consistent), and those in `per_frame` once a frame.
    """

    crop_size: int = 112
    crop_area_fraction: tuple[float, float] = (0.4, 1.0)
    crop_aspect_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    aspect_relative_to_picture: bool = False
    flip_probability: float = 0.5
    channel_probability: float = 0.0
    grayscale_probability: float = 0.2
    jitter_probability: float = 1.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.4
    blur_probability: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarise_probability: float = 0.0
    solarise_threshold: float = 0.5
    per_frame: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        if self.crop_size < 2 or self.crop_size % 2:
            raise ValueError(
                f"crop_size is {self.crop_size}; accepted are even numbers from 2 on (chroma is half size)"
            )
        for name in ("flip", "channel", "grayscale", "jitter", "blur", "solarise"):
            if not 0 <= getattr(self, f"{name}_probability") <= 1:
                raise ValueError(f"{name}_probability is {getattr(self, f'{name}_probability')}; accepted are 0 to 1")
        for name in ("brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; accepted are numbers from 0 on")
        if not 0 <= self.hue <= 0.5:
            raise ValueError(f"hue is {self.hue}; accepted are 0 to 0.5 turns")
        if not 0 < self.solarise_threshold <= 1:
            raise ValueError(f"solarise_threshold is {self.solarise_threshold}; accepted: above 0, up to 1")
        for name, upper in (("crop_area_fraction", 1.0), ("crop_aspect_ratio", None), ("blur_sigma", None)):
            low, high = getattr(self, name)
            if not 0 < low <= high or (upper is not None and high > upper):
                raise ValueError(
                    f"{name} is {(low, high)}; accepted: 0 < low <= high" + (f" <= {upper}" if upper else "")
                )
        if unknown := set(self.per_frame) - set(get_args(Operation)):
            raise ValueError(f"per_frame holds {sorted(unknown)}; accepted are {', '.join(get_args(Operation))}")

    def draw(self, generator: np.random.Generator, *, height: int, width: int, num_frames: int) -> ViewParameters:
        """One view of a clip of `num_frames` frames of `height` x `width` pixels. Every number is drawn, used or not,
        so that switching one operation off leaves the others as they were."""
        crops = (self._draw_crop(generator, height, width),)
        numbers = np.tile(self._draw_numbers(generator), (num_frames, 1))
        if "crop" in self.per_frame:
            crops = tuple(self._draw_crop(generator, height, width) for _ in range(num_frames))
        if self.per_frame:
            drawn = np.stack([self._draw_numbers(generator) for _ in range(num_frames)])
            columns = [VIEW_NUMBERS.index(name) for operation in self.per_frame for name in COLUMNS[operation]]
            numbers[:, columns] = drawn[:, columns]
        if "jitter" in self.per_frame:
            numbers[:, VIEW_NUMBERS.index("contrast_of_frame")] = 1
        return ViewParameters(crops=crops, numbers=numbers)

    def _draw_numbers(self, generator: np.random.Generator) -> np.ndarray:
        """One row of numbers, in the order of `VIEW_NUMBERS`."""
        chances = (self.flip_probability, self.grayscale_probability, self.jitter_probability, self.blur_probability)
        flip, gray, jitter, blur = (generator.random(4) < chances).tolist()
        factors = [generator.uniform(max(0.0, 1 - x), 1 + x) for x in (self.brightness, self.contrast, self.saturation)]
        hue = generator.uniform(-self.hue, self.hue)
        sigma = generator.uniform(*self.blur_sigma)
        solarise, split = (generator.random(2) < (self.solarise_probability, self.channel_probability)).tolist()
        channel = int(generator.integers(1, 4)) * split
        if not jitter:
            factors, hue = [1.0, 1.0, 1.0], 0.0
        threshold = self.solarise_threshold * solarise
        return np.array((flip, channel, gray, *factors, hue, 0, sigma * blur, threshold), np.float32)

    def _draw_crop(self, generator: np.random.Generator, height: int, width: int) -> CropBox:
        low, high = np.log(self.crop_aspect_ratio)
        for _ in range(10):
            area = height * width * generator.uniform(*self.crop_area_fraction)
            aspect = np.exp(generator.uniform(low, high))
            if self.aspect_relative_to_picture:
                aspect *= width / height
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

    def draw(
        self,
        generator: np.random.Generator | None,  # noqa: ARG002
        *,
        height: int,
        width: int,
        num_frames: int,
    ) -> ViewParameters:
        return ViewParameters(crops=(centre_crop(height, width),), numbers=identity_numbers(num_frames))


def identity_numbers(num_frames: int) -> np.ndarray:
    """float32 [num_frames, view_numbers]: nothing is changed."""
    return np.tile(np.array(IDENTITY_NUMBERS, np.float32), (num_frames, 1))


def centre_crop(height: int, width: int) -> CropBox:
    """The largest even square in the middle."""
    side = min(height, width) // 2 * 2
    return CropBox((height - side) // 4 * 2, (width - side) // 4 * 2, side, side)


def to_even(pixels: float) -> int:
    return 2 * round(pixels / 2)
