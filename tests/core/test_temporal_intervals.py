from collections import Counter
from math import floor, sqrt

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_core.sampling.temporal_intervals import IntervalDistribution, TemporalIntervalSampler


def video(num_frames: int) -> VideoInfo:
    return VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)


def starts(sampler: TemporalIntervalSampler, num_frames: int, count: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    plans = [sampler.plan(video(num_frames), generator) for _ in range(count)]
    return np.array([[clip.frame_indices[0] for clip in plan.clips] for plan in plans])


def slow_interval(num_starts: int, power: float, uniform: float) -> int:
    """The published CDF as printed, tried at one whole number after the other."""
    found = 0
    for k in range(num_starts):
        linear = (power + 1) / (power * num_starts) * k
        if linear - k ** (power + 1) / (power * num_starts ** (power + 1)) <= uniform:
            found = k
    return found


@pytest.mark.parametrize("num_frames", [64, 150, 250, 300])
def test_the_interval_is_the_closed_form_for_power_one(num_frames: int, generator: np.random.Generator):
    """floor(M (1 - sqrt(1 - u))) for 16 frames at stride 2, and so does a search over the printed CDF."""
    num_starts = num_frames - 30
    for uniform in generator.random(2000).tolist():
        drawn = TemporalIntervalSampler().interval(num_starts, uniform)
        assert drawn == floor(num_starts * (1 - sqrt(1 - uniform)))
    for uniform in generator.random(50).tolist():
        assert TemporalIntervalSampler().interval(num_starts, uniform) == slow_interval(num_starts, 1, uniform)


@pytest.mark.parametrize("power", [0.5, 2.0, 3.7])
def test_other_powers_invert_the_printed_cdf(power: float, generator: np.random.Generator):
    """The search gives the largest whole number whose CDF does not exceed the uniform one."""
    sampler = TemporalIntervalSampler(interval_power=power)
    for uniform in (0.0, *generator.random(200).tolist(), 1 - 2**-53):
        assert sampler.interval(90, uniform) == slow_interval(90, power, uniform)


@pytest.mark.parametrize(
    ("distribution", "power", "mean"),
    [
        ("decreasing", 1.0, 1 / 3),
        ("decreasing", 2.0, 3 / 8),
        ("decreasing", 0.5, 3 / 10),
        ("uniform", 1.0, 1 / 2),
        ("increasing", 1.0, 2 / 3),
        ("increasing", 2.0, 3 / 4),
    ],
)
def test_mean_intervals_are_those_of_the_densities(distribution: IntervalDistribution, power: float, mean: float):
    """The integral of t over 1 - t^a, 1 and t^a; whole numbers rounded down take half a frame off."""
    sampler = TemporalIntervalSampler(interval_distribution=distribution, interval_power=power)
    drawn = np.diff(starts(sampler, 250, 1500)).ravel()
    standard_error = 220 * 0.3 / sqrt(1500)
    assert np.abs(drawn).mean() == pytest.approx(220 * mean - 0.5, abs=5 * standard_error)
    assert np.mean(drawn > 0) == pytest.approx(0.5, abs=5 * 0.5 / sqrt(1500))


def test_starts_are_uniform_given_the_interval():
    """With 5 places for a start each pair of an interval k is equally likely among the 5 - k that fit."""
    sampler = TemporalIntervalSampler(num_frames_per_clip=4, frame_stride=2)
    pairs = Counter(tuple(sorted(pair)) for pair in starts(sampler, 11, 3000).tolist())
    assert all(0 <= early <= late <= 4 for early, late in pairs)
    for k in range(5):
        probability = (2 / 5 * (k + 1) - ((k + 1) / 5) ** 2) - (2 / 5 * k - (k / 5) ** 2)
        expected = 3000 * probability / (5 - k)
        for early in range(5 - k):
            assert abs(pairs[early, early + k] - expected) < 5 * sqrt(expected)


def test_a_clip_reaches_the_last_frame_and_none_loops_where_it_fits():
    """16 frames at stride 2 span 31: every clip of a video of 31 or more is one arithmetic sequence."""
    generator = np.random.default_rng(0)
    last = set()
    for num_frames in (31, 32, 40):
        for _ in range(200):
            for clip in TemporalIntervalSampler().plan(video(num_frames), generator).clips:
                assert set(np.diff(clip.frame_indices)) == {2}
                last.add(num_frames - 1 - clip.frame_indices[-1])
    assert min(last) == 0


def test_a_short_video_has_independent_starts_and_loops():
    """30 frames have no room for a span of 31: all pairs of starts occur, indices go round; "reject" refuses."""
    sampler = TemporalIntervalSampler()
    pairs = starts(sampler, 30, 1500)
    assert sorted(set(pairs[:, 0])) == sorted(set(pairs[:, 1])) == list(range(30))
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.1
    [first, _] = sampler.plan(video(30), np.random.default_rng(0)).clips
    assert first.frame_indices == tuple((first.frame_indices[0] + 2 * i) % 30 for i in range(16))
    with pytest.raises(ValueError, match="video 7 has 30 frames; 31 or more are needed"):
        TemporalIntervalSampler(past_the_end="reject").plan(video(30), np.random.default_rng(0))


def test_clips_are_augmented_apart():
    """Each of the two has its own group, whichever came first in time."""
    plan = TemporalIntervalSampler().plan(video(100), np.random.default_rng(0))
    assert [clip.augmentation_group for clip in plan.clips] == [0, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval_power": 0.0},
        {"interval_power": float("nan")},
        {"frame_stride": 0},
        {"num_frames_per_clip": 0},
    ],
)
def test_wrong_values_are_refused_by_name(wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TemporalIntervalSampler(**wrong)
