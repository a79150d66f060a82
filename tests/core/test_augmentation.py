"""Against a slow reference: one clip, one operation after the other on its pixels, in float64."""

import colorsys
from itertools import permutations
from math import cos, pi, sin

import numpy as np
import pytest
import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.normalisation import NORMALISATIONS
from rspnet_core.sampling.views import IDENTITY_NUMBERS, VIEW_NUMBERS

NUM_FRAMES, HEIGHT, WIDTH = 2, 6, 8
MEAN, STD = np.array(NORMALISATIONS["imagenet"].mean), np.array(NORMALISATIONS["imagenet"].std)
JITTER_ORDERS = tuple(permutations(("brightness", "contrast", "saturation", "hue")))


def random_planes(generator: np.random.Generator, batch: int = 2, num_clips: int = 3) -> torch.Tensor:
    shape = (batch, num_clips, NUM_FRAMES, HEIGHT * 3 // 2, WIDTH)
    return torch.from_numpy(generator.integers(16, 236, size=shape, dtype=np.uint8))


def planes_of(red: float, green: float, blue: float) -> torch.Tensor:
    """One clip of one colour, encoded by hand."""
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    yuv = 16 + 219 * luma, 128 + 224 * (blue - luma) / 1.772, 128 + 224 * (red - luma) / 1.402
    sizes = HEIGHT * WIDTH, HEIGHT * WIDTH // 4, HEIGHT * WIDTH // 4
    frame = np.repeat(np.round(yuv), sizes).astype(np.uint8)
    return torch.from_numpy(np.tile(frame, NUM_FRAMES).reshape(1, 1, NUM_FRAMES, HEIGHT * 3 // 2, WIDTH))


def numbers(**changes: float) -> torch.Tensor:
    """[time, view_numbers]: the same for all frames."""
    row = torch.tensor([changes.get(name, IDENTITY_NUMBERS[i]) for i, name in enumerate(VIEW_NUMBERS)])
    return row.expand(NUM_FRAMES, -1)


def reference_rgb(frame: np.ndarray) -> np.ndarray:
    """height x width x RGB of one I420 frame, pixel by pixel, from the printed BT.601 coefficients."""
    flat, quarter = frame.reshape(-1).astype(float), HEIGHT * WIDTH // 4
    rgb = np.empty((HEIGHT, WIDTH, 3))
    for row in range(HEIGHT):
        for column in range(WIDTH):
            place = HEIGHT * WIDTH + (row // 2) * (WIDTH // 2) + column // 2
            y, u, v = flat[row * WIDTH + column], flat[place], flat[place + quarter]
            scaled = 1.164383 * (y - 16)
            rgb[row, column] = (
                scaled + 1.596027 * (v - 128),
                scaled - 0.391762 * (u - 128) - 0.812968 * (v - 128),
                scaled + 2.017232 * (u - 128),
            )
    return rgb / 255


def gray_of(rgb: np.ndarray) -> np.ndarray:
    return (rgb @ np.array([0.299, 0.587, 0.114]))[..., None]


def reference_operation(name: str, factor: float, rgb: np.ndarray) -> np.ndarray:
    if name == "brightness":
        return factor * rgb
    if name == "contrast":
        return factor * rgb + (1 - factor) * gray_of(rgb).mean()
    if name == "saturation":
        return factor * rgb + (1 - factor) * gray_of(rgb)
    in_phase = rgb @ np.array([0.5959, -0.2746, -0.3213])
    quadrature = rgb @ np.array([0.2115, -0.5227, 0.3112])
    angle = -2 * pi * factor
    turned = (
        gray_of(rgb)[..., 0],
        cos(angle) * in_phase - sin(angle) * quadrature,
        sin(angle) * in_phase + cos(angle) * quadrature,
    )
    to_yiq = np.array([(0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    return np.linalg.solve(to_yiq, np.stack(turned, -1).reshape(-1, 3).T).T.reshape(rgb.shape)


def reference_clip(planes: np.ndarray, view: dict[str, float], order: tuple[str, ...]) -> np.ndarray:
    """channel x time x height x width, operation by operation in the published order."""
    rgb = np.stack([reference_rgb(frame) for frame in planes])
    if view["channel"]:
        rgb = np.repeat(rgb[..., [int(view["channel"]) - 1]], 3, axis=-1)
    if view["grayscale"]:
        rgb = np.repeat(gray_of(rgb), 3, axis=-1)
    for name in order:
        rgb = reference_operation(name, view[name], rgb)
    if view["flip"]:
        rgb = rgb[:, :, ::-1]
    return ((rgb - MEAN) / STD).transpose(3, 0, 1, 2)


def assert_matches_reference(planes: torch.Tensor, view_numbers: torch.Tensor) -> None:
    """Clip after clip, each with another order of the jitter's operations."""
    clips = to_clips(planes, view_numbers)
    assert clips.shape == (*planes.shape[:2], 3, NUM_FRAMES, HEIGHT, WIDTH)
    for sample, clip in np.ndindex(*planes.shape[:2]):
        view = dict[str, float](zip(VIEW_NUMBERS, view_numbers[sample, clip, 0].tolist(), strict=True))
        order = JITTER_ORDERS[(sample * planes.shape[1] + clip) % 24]
        expected = reference_clip(planes[sample, clip].numpy(), view, order)
        np.testing.assert_allclose(clips[sample, clip].numpy(), expected, atol=2e-4)


def test_identity_numbers_give_plain_normalised_rgb(generator: np.random.Generator):
    """Nothing but BT.601 conversion and ImageNet normalisation happens, also where U and V share a row."""
    planes = random_planes(generator)
    assert_matches_reference(planes, numbers().expand(2, 3, -1, -1))


@pytest.mark.parametrize(
    "change",
    [{"brightness": 1.3}, {"contrast": 0.6}, {"saturation": 0.7}, {"hue": 0.15}, {"grayscale": 1.0}, {"channel": 2.0}],
)
def test_one_operation_matches_the_reference(change: dict[str, float], generator: np.random.Generator):
    """Each operation alone, on random pixels."""
    assert_matches_reference(random_planes(generator), numbers(**change).expand(2, 3, -1, -1))


def test_every_jitter_order_matches_the_reference(generator: np.random.Generator):
    """All 24 orders in one batch, each with its own factors, grayscale and flip."""
    drawn = np.tile(np.array(IDENTITY_NUMBERS), (8, 3, 1, 1))
    columns = {name: VIEW_NUMBERS.index(name) for name in VIEW_NUMBERS}
    for name in ("brightness", "contrast", "saturation"):
        drawn[..., columns[name]] = generator.uniform(0.6, 1.4, size=(8, 3, 1))
    drawn[..., columns["hue"]] = generator.uniform(-0.4, 0.4, size=(8, 3, 1))
    drawn[..., columns["flip"]] = generator.integers(2, size=(8, 3, 1))
    drawn[..., columns["grayscale"]] = generator.random((8, 3, 1)) < 0.2
    view_numbers = torch.from_numpy(drawn).float().expand(-1, -1, NUM_FRAMES, -1)
    assert_matches_reference(random_planes(generator, batch=8), view_numbers)


def test_numbers_of_its_own_give_each_frame_what_it_would_get_alone(generator: np.random.Generator):
    """A clip whose frames differ in everything equals its frames, each taken as a clip of one."""
    planes = random_planes(generator, batch=1, num_clips=1)
    rows = [
        {"flip": 1.0, "channel": 3.0, "brightness": 1.2, "contrast": 0.5, "hue": 0.2, "blur_sigma": 0.9},
        {"grayscale": 1.0, "contrast": 1.4, "saturation": 0.3, "solarise": 0.5},
    ]
    view = torch.cat([numbers(**row, contrast_of_frame=1.0)[:1] for row in rows])
    whole = to_clips(planes, view.expand(1, 1, -1, -1))
    for frame in range(NUM_FRAMES):
        alone = to_clips(planes[:, :, frame : frame + 1], view[frame].reshape(1, 1, 1, -1))
        torch.testing.assert_close(whole[:, :, :, frame : frame + 1], alone, rtol=0, atol=1e-5)


def test_contrast_leads_to_the_mean_of_the_clip_or_of_the_frame(generator: np.random.Generator):
    """With contrast 0 a picture is one gray: the clip's mean, the same in all frames, or each frame's own."""
    planes = random_planes(generator, batch=1, num_clips=2)
    planes[:, :, 0] //= 2
    view = torch.stack((numbers(contrast=0.0), numbers(contrast=0.0, contrast_of_frame=1.0)))[None]
    red = to_clips(planes, view, "zero_to_one")[0, :, 0]
    luma = (planes[0, :, :, :HEIGHT].double().mean(dim=(2, 3)) - 16) / 219
    torch.testing.assert_close(red[0].mean(dim=(1, 2)).double(), luma[0].mean().expand(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(red[1].mean(dim=(1, 2)).double(), luma[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("normalisation", list(NORMALISATIONS))
def test_normalisation_is_the_methods_own(normalisation, generator: np.random.Generator):
    """(colour - mean) / std, for each set of constants."""
    planes = random_planes(generator, batch=1, num_clips=1)
    view = numbers().expand(1, 1, -1, -1)
    plain = to_clips(planes, view, "zero_to_one")
    mean, std = (torch.tensor(getattr(NORMALISATIONS[normalisation], name)) for name in ("mean", "std"))
    expected = (plain - mean[:, None, None, None]) / std[:, None, None, None]
    torch.testing.assert_close(to_clips(planes, view, normalisation), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalisation", ["zero_to_one", "imagenet"])
def test_solarising_inverts_bright_pixels_alone(normalisation, generator: np.random.Generator):
    """At or above the threshold x becomes 1 - x, after clamping; the clip without a threshold is as it was."""
    planes = random_planes(generator, batch=1, num_clips=2)
    view = torch.stack((numbers(solarise=0.4), numbers()))[None]
    colours = NORMALISATIONS[normalisation]
    mean, std = (torch.tensor(values)[:, None, None, None] for values in (colours.mean, colours.std))
    plain = to_clips(planes, numbers().expand(1, 2, -1, -1), normalisation)[0]
    rgb = (plain[0] * std + mean).clamp(0, 1)
    expected = (torch.where(rgb >= 0.4, 1 - rgb, rgb) - mean) / std
    solarised = to_clips(planes, view, normalisation)[0]
    torch.testing.assert_close(solarised[0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(solarised[1], plain[1], rtol=0, atol=0)


def test_hue_turns_the_way_hsv_does():
    """A third of a turn moves red to green and green to blue, as colorsys has it."""
    for colour in ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1)):
        view = numbers(hue=1 / 3).expand(1, 1, -1, -1)
        turned = to_clips(planes_of(*colour), view)[0, 0, :, 0, 0, 0].numpy() * STD + MEAN
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        expected = colorsys.hsv_to_rgb(hue + 1 / 3, saturation, value)
        assert np.argmax(turned) == np.argmax(expected)


def test_flip_reverses_columns_alone(generator: np.random.Generator):
    """A flipped clip is the clip read from right to left, and its neighbours are untouched."""
    planes = random_planes(generator, batch=1, num_clips=2)
    views = torch.stack((numbers(flip=1.0), numbers()))[None]
    plain = to_clips(planes, torch.stack((numbers(), numbers()))[None])
    flipped = to_clips(planes, views)
    torch.testing.assert_close(flipped[0, 0], plain[0, 0].flip(-1), rtol=0, atol=1e-6)
    torch.testing.assert_close(flipped[0, 1], plain[0, 1], rtol=0, atol=0)


def reference_blur(clip: np.ndarray, sigma: float) -> np.ndarray:
    radius = min(int(np.ceil(3 * sigma)), HEIGHT - 1, WIDTH - 1)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    taps /= taps.sum()
    padded = np.pad(clip, ((0, 0), (0, 0), (radius, radius), (radius, radius)), mode="reflect")
    blurred = np.zeros_like(clip)
    for row, column in np.ndindex(HEIGHT, WIDTH):
        window = padded[:, :, row : row + 2 * radius + 1, column : column + 2 * radius + 1]
        blurred[:, :, row, column] = (window * np.outer(taps, taps)).sum(axis=(2, 3))
    return blurred


def test_blur_matches_the_reference_whatever_else_is_in_the_batch(generator: np.random.Generator):
    """Two sigmas and an unblurred clip in one batch: each as if it were alone."""
    planes = random_planes(generator, batch=1)
    plain = to_clips(planes, numbers().expand(1, 3, -1, -1))[0].numpy()
    views = torch.stack([numbers(blur_sigma=sigma) for sigma in (1.0, 0.0, 1.2)])[None]
    blurred = to_clips(planes, views)[0].numpy()
    np.testing.assert_allclose(blurred[0], reference_blur(plain[0], 1.0), atol=1e-5)
    np.testing.assert_allclose(blurred[1], plain[1], atol=0)
    np.testing.assert_allclose(blurred[2], reference_blur(plain[2], 1.2), atol=1e-5)


def test_a_clip_does_not_depend_on_its_batch(generator: np.random.Generator):
    """Permuting the batch permutes the clips: means and matrices are a clip's own."""
    planes = random_planes(generator, batch=4)
    views = torch.stack([numbers(contrast=0.5 + 0.1 * i, hue=0.03 * i) for i in range(12)]).reshape(
        4, 3, NUM_FRAMES, -1
    )
    order = torch.tensor([2, 0, 3, 1])
    permuted = to_clips(planes[order], views[order])
    torch.testing.assert_close(permuted, to_clips(planes, views)[order], rtol=0, atol=0)


def test_planes_that_are_no_i420_frames_are_refused():
    """Rows that are not 3/2 of an even height raise, with what was given."""
    with pytest.raises(ValueError, match="10 rows of 8"):
        to_clips(torch.zeros(1, 1, 2, 10, 8, dtype=torch.uint8), numbers().expand(1, 1, -1, -1))
