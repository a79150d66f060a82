"""From planes of uint8 pixels and a few numbers a frame to what an encoder takes, batched, on any device.

The order is flip, channel splitting, grayscale, jitter, blur, solarising, normalisation. Grayscale before jitter,
contrast towards the clip's own mean gray and ImageNet's mean and standard deviation follow the published RSPNet code;
blur and solarising after the colours follow CVRL's. Deviations on purpose, which make colour one affine map a frame,
read and written once:

- colours are not clamped to 0..1 between operations, nor at the end; with that, and with the next, the order of the
  jitter's operations makes no difference (`colour_matrices` shows why), and grayscale may as well come after them;
- hue is a rotation in YIQ (it keeps luma) instead of a shift in HSV;
- contrast leads towards the mean luma of the picture as it came, also where one channel stands for all three;
- chroma is upsampled to its four pixels by repetition, as libswscale does for a plain conversion: bilinear
  upsampling would cost a pass of its own and is not what decoders hand out.
"""

from math import ceil

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rspnet_core.colour_matrices import colour_matrices, mean_and_std
from rspnet_core.normalisation import NORMALISATIONS, Normalisation, NormalisationName
from rspnet_core.sampling.views import VIEW_NUMBERS

Clips = Float[Tensor, "clips channel time height width"]


def to_clips(
    planes: UInt8[Tensor, "batch num_clips time plane_rows width"],
    view_numbers: Float[Tensor, "batch num_clips time view_numbers"],
    normalisation: NormalisationName = "imagenet",
) -> Float[Tensor, "batch num_clips channel time height width"]:
    """RGB, augmented and normalised, float32. `planes` is laid out as in `ClipBatch`, BT.601 limited range;
    `view_numbers` come in the order of `VIEW_NUMBERS`, and `IDENTITY_NUMBERS` gives plain normalised RGB.

    Costs one wait for the device: whether anything is blurred, how far, and whether anything is solarised is read
    back.

    Raises ValueError for planes that are no I420 frames of even height and width.
    """
    luma, chroma = split_planes(planes.flatten(0, 1))
    numbers = dict[str, Tensor](zip(VIEW_NUMBERS, view_numbers.flatten(0, 1).float().unbind(-1), strict=True))
    colours = NORMALISATIONS[normalisation]
    flipped = numbers["flip"] > 0.5
    # Flipped while the pixels are still bytes: an eighth of what the finished clip would move.
    luma, chroma = flip(luma, flipped).float(), flip(chroma, flipped[:, None]).float()
    clips = apply_colour(colour_matrices(luma.mean(dim=(2, 3)), numbers, colours), luma, chroma)
    sigma, threshold = numbers["blur_sigma"], numbers["solarise"]
    largest_sigma, largest_threshold = torch.stack((sigma.max(), threshold.max())).tolist()  # The wait.
    if largest_sigma > 0:
        blur_in_place(clips, sigma, largest_sigma)
    if largest_threshold > 0:
        solarise_in_place(clips, threshold, colours)
    return clips.unflatten(0, planes.shape[:2])


def split_planes(
    planes: UInt8[Tensor, "clips time plane_rows width"],
) -> tuple[UInt8[Tensor, "clips time height width"], UInt8[Tensor, "clips 2 time half_height half_width"]]:
    """Luma, and the two chroma planes. Views: nothing is copied."""
    plane_rows, width = planes.shape[-2:]
    height = plane_rows * 2 // 3
    if height * 3 != plane_rows * 2 or height % 2 or width % 2:
        raise ValueError(f"planes have {plane_rows} rows of {width}; accepted: 3/2 of an even height, an even width")
    # Flat, because with a height of 4n + 2 the planes of U and V meet in the middle of a row.
    chroma = planes[:, :, height:].flatten(2).unflatten(2, (2, height // 2, width // 2))
    return planes[:, :, :height], chroma.transpose(1, 2)


def flip(
    pixels: UInt8[Tensor, "*frames height width"], flipped: Bool[Tensor, "*marks"]
) -> UInt8[Tensor, "*frames height width"]:
    """Left and right exchanged in the frames marked."""
    return torch.where(flipped[..., None, None], pixels.flip(-1), pixels)


def apply_colour(
    matrices: Float[Tensor, "clips time 3 4"],
    luma: Float[Tensor, "clips time height width"],
    chroma: Float[Tensor, "clips 2 time half_height half_width"],
) -> Clips:
    """Each frame's map on its pixels. Chroma's share is computed at half size; one pass at full size adds
    luma's."""
    by_luma, by_u, by_v, offset = matrices.permute(3, 0, 2, 1)[..., None, None].unbind(dim=0)
    u, v = chroma[:, None].unbind(dim=2)
    from_chroma = torch.addcmul(torch.addcmul(offset, by_u, u), by_v, v)
    # Height and width as (half, 2): broadcasting over the 2 repeats each chroma value over its four pixels.
    luma_blocks = luma[:, None].unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2))
    blocks = torch.addcmul(from_chroma[..., :, None, :, None], by_luma[..., None, None], luma_blocks)
    return blocks.flatten(-2).flatten(-3, -2)


def blur_in_place(clips: Clips, sigma: Float[Tensor, "clips time"], largest_sigma: float) -> None:
    """Gaussian blur of the frames whose sigma, in pixels, is above 0; edges are mirrored.

    A kernel reaches ceil(3 sigma) pixels, at most as far as mirroring allows, whatever else is in the batch.
    It commutes with colour, which is why it may come after it.
    """
    clip, frame = (sigma > 0).nonzero(as_tuple=True)
    height, width = clips.shape[-2:]
    kernels = gaussian_kernels(sigma[clip, frame], radius=min(ceil(3 * largest_sigma), height - 1, width - 1))
    # One group a frame: its channels take the place of the batch.
    pixels = clips[clip, :, frame].transpose(0, 1)
    radius = kernels.shape[-1] // 2
    pixels = F.pad(pixels, (radius, radius, radius, radius), mode="reflect")
    pixels = F.conv2d(pixels, kernels[:, None, None, :], groups=len(clip))
    pixels = F.conv2d(pixels, kernels[:, None, :, None], groups=len(clip))
    clips[clip, :, frame] = pixels.transpose(0, 1)


def gaussian_kernels(sigma: Float[Tensor, " frames"], radius: int) -> Float[Tensor, "frames taps"]:
    """Sums are one. Taps beyond a frame's own ceil(3 sigma) are 0, so that its neighbours in the batch change
    nothing."""
    distance = torch.arange(-radius, radius + 1, device=sigma.device).abs()
    weights = torch.exp(-0.5 * (distance / sigma[:, None]) ** 2)
    weights = weights * (distance <= torch.ceil(3 * sigma[:, None]))
    return weights / weights.sum(dim=1, keepdim=True)


def solarise_in_place(clips: Clips, threshold: Float[Tensor, "clips time"], colours: Normalisation) -> None:
    """Inverts what lies at or above a frame's threshold, in colours clamped to 0..1, as the operation is defined."""
    clip, frame = (threshold > 0).nonzero(as_tuple=True)
    mean, std = (constant[:, None, None] for constant in mean_and_std(colours, clips.device))
    pixels = (clips[clip, :, frame] * std + mean).clamp(0, 1)
    inverted = torch.where(pixels >= threshold[clip, frame][:, None, None, None], 1 - pixels, pixels)
    clips[clip, :, frame] = (inverted - mean) / std
