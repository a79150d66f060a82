from typing import Any

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_core.sampling.evenly_spaced import EvenlySpacedSampler
from rspnet_core.sampling.views import IDENTITY_NUMBERS, VIEW_NUMBERS, CentreView, ViewConfig, centre_crop


@pytest.mark.parametrize(("height", "width"), [(128, 171), (171, 128), (127, 129), (64, 64), (20, 400)])
def test_crops_are_even_and_inside_the_frame(height: int, width: int, generator: np.random.Generator):
    """Chroma planes of half the size crop exactly, for odd and for extreme frames too."""
    for _ in range(300):
        crop = ViewConfig().draw(generator, height=height, width=width, num_frames=2).crops[0]
        assert not any(number % 2 for number in crop)
        assert crop.top >= 0
        assert crop.left >= 0
        assert 2 <= crop.height <= height - crop.top
        assert 2 <= crop.width <= width - crop.left


def test_crops_reach_every_corner_and_keep_to_area_and_aspect(generator: np.random.Generator):
    """Boxes touch all four sides of the frame, cover 40 to 100 % of it, at aspect ratios of 3/4 to 4/3."""
    crops = [ViewConfig().draw(generator, height=240, width=240, num_frames=2).crops[0] for _ in range(2000)]
    areas = [crop.height * crop.width / 240**2 for crop in crops]
    aspects = [crop.width / crop.height for crop in crops]
    assert 0.38 < min(areas) < 0.45 < 0.95 < max(areas) <= 1
    assert 0.73 < min(aspects) < 0.78 < 1.28 < max(aspects) < 1.36
    assert min(crop.top for crop in crops) == min(crop.left for crop in crops) == 0
    assert max(crop.top + crop.height for crop in crops) == 240
    assert max(crop.left + crop.width for crop in crops) == 240


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 854), (256, 144)])
def test_crops_of_resized_pictures_by_hand(height: int, width: int, generator: np.random.Generator):
    """112 x 112 of a picture brought to 128 x 171 is 112/128 of its height and 112/171 of its width, anywhere."""
    config = ViewConfig(
        crop_area_fraction=(0.573, 0.573),
        crop_aspect_ratio=(128 / 171, 128 / 171),
        aspect_relative_to_picture=True,
    )
    crops = [config.draw(generator, height=height, width=width, num_frames=2).crops[0] for _ in range(300)]
    for crop in crops:
        assert crop.height == pytest.approx(height * 112 / 128, abs=1.1)
        assert crop.width == pytest.approx(width * 112 / 171, abs=1.1)
    assert {crop.top for crop in crops} == set(range(0, height - crops[0].height + 1, 2))
    assert max(crop.left + crop.width for crop in crops) > 0.98 * width


def test_numbers_keep_to_their_ranges(generator: np.random.Generator):
    """Each number in `VIEW_NUMBERS` covers its configured range and nothing else."""
    config = ViewConfig(blur_probability=0.5, solarise_probability=0.3, solarise_threshold=0.4, channel_probability=0.6)
    drawn = np.array([config.draw(generator, height=64, width=64, num_frames=1).numbers[0] for _ in range(2000)])
    columns = dict(zip(VIEW_NUMBERS, drawn.T, strict=True))
    for name in ("brightness", "contrast", "saturation"):
        assert 0.6 <= columns[name].min() < 0.62 < 1.38 < columns[name].max() <= 1.4
    assert -0.4 <= columns["hue"].min() < -0.38 < 0.38 < columns["hue"].max() <= 0.4
    assert set(columns["channel"]) == {0, 1, 2, 3}
    assert 0.55 < (columns["channel"] > 0).mean() < 0.65
    assert set(columns["solarise"]) == {0, np.float32(0.4)}
    assert 0.25 < (columns["solarise"] > 0).mean() < 0.35
    assert set(columns["contrast_of_frame"]) == {0}
    assert 0.45 < columns["flip"].mean() < 0.55
    assert 0.16 < columns["grayscale"].mean() < 0.24
    blurred = columns["blur_sigma"] > 0
    assert 0.45 < blurred.mean() < 0.55
    assert 0.1 <= columns["blur_sigma"][blurred].min() < columns["blur_sigma"].max() <= 2.0


def test_switching_an_operation_off_leaves_the_others():
    """Without flips the same stream still draws the same crop and colours."""
    with_flip = ViewConfig().draw(np.random.default_rng(5), height=64, width=80, num_frames=2)
    without = ViewConfig(flip_probability=0.0).draw(np.random.default_rng(5), height=64, width=80, num_frames=2)
    assert with_flip.crops == without.crops
    np.testing.assert_array_equal(with_flip.numbers[:, 1:], without.numbers[:, 1:])


def test_a_view_is_consistent_in_time():
    """All frames of a clip share every number and one crop."""
    view = ViewConfig().draw(np.random.default_rng(5), height=64, width=80, num_frames=4)
    assert len(view.crops) == 1
    assert view.numbers.shape == (4, len(VIEW_NUMBERS))
    assert (view.numbers == view.numbers[0]).all()


@pytest.mark.parametrize(
    ("operation", "columns"),
    [
        ("crop", set()),
        ("flip", {"flip"}),
        ("channel", {"channel"}),
        ("grayscale", {"grayscale"}),
        ("jitter", {"brightness", "contrast", "saturation", "hue"}),
        ("blur", {"blur_sigma"}),
        ("solarise", {"solarise"}),
    ],
)
def test_one_operation_per_frame_leaves_the_others_consistent(operation, columns: set[str]):
    """What is named in `per_frame` differs between frames; everything else is what it was without."""
    halves: dict[str, Any] = {
        f"{name}_probability": 0.5 for name in ("flip", "channel", "grayscale", "blur", "solarise")
    }
    plain = ViewConfig(**halves).draw(np.random.default_rng(3), height=64, width=80, num_frames=32)
    view = ViewConfig(**halves, per_frame=(operation,)).draw(
        np.random.default_rng(3), height=64, width=80, num_frames=32
    )
    differing = {name for name, column in zip(VIEW_NUMBERS, view.numbers.T, strict=True) if len(set(column)) > 1}
    assert differing == columns
    assert len(set(view.crops)) == (1 if operation != "crop" else len(view.crops))
    assert len(view.crops) == (1 if operation != "crop" else 32)
    untouched = [i for i, name in enumerate(VIEW_NUMBERS) if name not in columns | {"contrast_of_frame"}]
    np.testing.assert_array_equal(view.numbers[:, untouched], plain.numbers[:, untouched])
    assert set(view.numbers[:, VIEW_NUMBERS.index("contrast_of_frame")]) == {float(operation == "jitter")}


def test_centre_crop_by_hand():
    """The largest even square, its corner on an even pixel."""
    assert centre_crop(100, 171) == (0, 34, 100, 100)
    assert centre_crop(101, 64) == (18, 0, 64, 64)
    view = CentreView().draw(None, height=64, width=64, num_frames=3)
    assert view.crops == ((0, 0, 64, 64),)
    assert view.numbers.tolist() == np.tile(np.array(IDENTITY_NUMBERS, np.float32), (3, 1)).tolist()


@pytest.mark.parametrize(
    "field",
    [
        {"crop_size": 113},
        {"crop_area_fraction": (0.5, 1.5)},
        {"hue": 0.6},
        {"flip_probability": 2.0},
        {"brightness": -1.0},
        {"blur_sigma": (0.0, 1.0)},
        {"solarise_threshold": 0.0},
    ],
)
def test_a_wrong_value_is_refused_by_name(field: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(field))):
        ViewConfig(**field)


def test_evenly_spaced_clips_reach_from_first_to_last_frame():
    """Three clips of 4 frames at stride 2 (7 frames) in a video of 17 start at 0, 5 and 10."""
    info = VideoInfo(video_index=0, num_frames=17, frames_per_second=25.0, height=64, width=64)
    plan = EvenlySpacedSampler(num_clips=3, num_frames_per_clip=4, frame_stride=2).plan(info)
    assert [clip.frame_indices for clip in plan.clips] == [(0, 2, 4, 6), (5, 7, 9, 11), (10, 12, 14, 16)]


def test_evenly_spaced_clips_of_a_short_video_are_equal():
    """A video shorter than a clip has one possible start."""
    info = VideoInfo(video_index=0, num_frames=3, frames_per_second=25.0, height=64, width=64)
    plan = EvenlySpacedSampler(num_clips=2, num_frames_per_clip=4).plan(info)
    assert [clip.frame_indices for clip in plan.clips] == [(0, 1, 2, 0)] * 2
