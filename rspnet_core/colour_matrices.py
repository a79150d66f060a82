"""Conversion, channel splitting, grayscale, colour jitter and normalisation as one affine map a frame.

In YIQ, seen as luma and a chroma plane, and without clamping in between, the jitter's operations are

    brightness b:  luma <- b luma                          chroma <- b chroma
    contrast c:    luma <- c luma + (1 - c) mean luma      chroma <- c chroma
    saturation s:  luma <- luma                            chroma <- s chroma
    hue h:         luma <- luma                            chroma <- chroma turned by h turns

and grayscale is saturation 0. They commute: the random order in which published code applies them would make no
difference here, and one formula stands for all orders. Mean luma is the clip's own, over all its frames, as in the
published RSPNet code, or the frame's own where the jitter is.
"""

from functools import lru_cache
from math import pi
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rspnet_core.normalisation import Normalisation

LUMA_WEIGHTS = (0.299, 0.587, 0.114)
"""BT.601's luma of RGB: what grayscale, contrast and saturation call gray."""


class Constants(NamedTuple):
    """Everything that no number of a clip changes, on one device.

    `luma` and `chroma` are projections of RGB on RGB whose sum is the identity; `chroma_turned` is chroma a
    quarter turn on, the way round in which HSV's hue grows: red, green, blue. `splits` show all channels, red, green
    or blue in the place of all three.
    """

    yuv_to_rgb: Float[Tensor, "3 4"]
    luma: Float[Tensor, "3 3"]
    chroma: Float[Tensor, "3 3"]
    chroma_turned: Float[Tensor, "3 3"]
    splits: Float[Tensor, "4 3 3"]


@lru_cache(maxsize=16)
def constants(device: torch.device) -> Constants:
    """Cached, because each copy to a GPU would wait for it."""
    to_yiq = np.array([LUMA_WEIGHTS, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    to_rgb = np.linalg.inv(to_yiq)
    arrays = (
        yuv_to_rgb(),
        to_rgb @ np.diag((1, 0, 0)) @ to_yiq,
        to_rgb @ np.diag((0, 1, 1)) @ to_yiq,
        to_rgb @ np.array([(0, 0, 0), (0, 0, 1), (0, -1, 0)]) @ to_yiq,
        np.stack([np.eye(3), *(np.eye(3)[[channel] * 3] for channel in range(3))]),
    )
    return Constants(*(torch.from_numpy(array).float().to(device) for array in arrays))


@lru_cache(maxsize=64)
def mean_and_std(colours: Normalisation, device: torch.device) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
    """Cached, as `constants` are."""
    return torch.tensor(colours.mean).to(device), torch.tensor(colours.std).to(device)


def yuv_to_rgb() -> np.ndarray:
    """BT.601, limited range: Y in 16 to 235, U and V in 16 to 240 around 128; RGB in 0 to 1."""
    red, green, blue = LUMA_WEIGHTS
    by_y, by_u, by_v = 1 / 219, 2 * (1 - blue) / 224, 2 * (1 - red) / 224
    linear = np.array([(by_y, 0, by_v), (by_y, -by_u * blue / green, -by_v * red / green), (by_y, by_u, 0)])
    return np.column_stack((linear, -linear @ np.array((16, 128, 128))))


def colour_matrices(
    mean_luma: Float[Tensor, "clips time"], numbers: dict[str, Tensor], colours: Normalisation
) -> Float[Tensor, "clips time 3 4"]:
    """From Y, U, V in 0 to 255 to normalised RGB: the left 3 x 3 multiplies, the right column is added.

    `mean_luma` is each frame's mean Y; `numbers` holds one number a frame under the names in `VIEW_NUMBERS`.
    """
    fixed = constants(mean_luma.device)
    brightness, contrast, saturation, hue = (
        numbers[name][..., None, None] for name in ("brightness", "contrast", "saturation", "hue")
    )
    kept_chroma = torch.where(numbers["grayscale"][..., None, None] > 0.5, 0.0, saturation)
    turned = torch.cos(2 * pi * hue) * fixed.chroma + torch.sin(2 * pi * hue) * fixed.chroma_turned
    on_rgb = brightness * contrast * (fixed.luma + kept_chroma * turned)
    # Products written as sums: a matrix multiplication drops to TF32 wherever the network is allowed to.
    split = fixed.splits[numbers["channel"].long()]
    on_rgb = (on_rgb[..., None] * split[..., None, :, :]).sum(dim=-2)
    matrices = (on_rgb[..., None] * fixed.yuv_to_rgb).sum(dim=-2)
    of_clip = mean_luma.mean(dim=1, keepdim=True)
    aim = torch.where(numbers["contrast_of_frame"] > 0.5, mean_luma, of_clip)[..., None]
    towards = brightness[..., 0] * (1 - contrast[..., 0]) * (aim - 16) / 219
    mean, std = mean_and_std(colours, mean_luma.device)
    matrices[..., 3] += towards - mean
    return matrices / std[:, None]
