from math import floor

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.speed_classes import FAST, NORMAL, SpeedClassSampler


def plans(sampler: SpeedClassSampler, num_frames: int = 200, count: int = 500) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def test_skips_are_uniform_in_their_ranges():
    """Normal in [1, 1.2], fast in [1.7, 2.2]: extremes and means of 500 draws."""
    for place, low, high in ((NORMAL, 1.0, 1.2), (FAST, 1.7, 2.2)):
        skips = [plan.clips[place].playback_speed for plan in plans(SpeedClassSampler())]
        assert low <= min(skips) < low + 0.03
        assert high - 0.03 < max(skips) <= high
        assert np.mean(skips) == pytest.approx((low + high) / 2, abs=5 * (high - low) / np.sqrt(12 * 500))


def test_frames_follow_the_rounding_rule():
    """Frame i is start + floor(i x skip): gaps of a normal clip are 1 or 2, of a fast one 1, 2 or 3."""
    for plan in plans(SpeedClassSampler()):
        for clip, gaps in zip(plan.clips, ({1, 2}, {1, 2, 3}), strict=True):
            first = clip.frame_indices[0]
            assert list(clip.frame_indices) == [first + floor(i * clip.playback_speed) for i in range(64)]
            assert set(np.diff(clip.frame_indices)) <= gaps


def test_rounding_by_hand():
    """A skip of exactly 1.25 leaves out every fifth frame, one of 2 every second."""
    sampler = SpeedClassSampler(num_frames_per_clip=6, normal_skip=(1.25, 1.25), fast_skip=(2.0, 2.0))
    [plan] = plans(sampler, num_frames=11, count=1)
    assert [clip.frame_indices for clip in plan.clips] == [(0, 1, 2, 3, 5, 6), (0, 2, 4, 6, 8, 10)]


def test_both_clips_show_one_segment_under_one_view():
    """Same first frame, same group, labels by place; starts reach from 0 to where the longest span fits."""
    drawn = plans(SpeedClassSampler(num_frames_per_clip=8), num_frames=24)
    assert all(plan.clips[0].frame_indices[0] == plan.clips[1].frame_indices[0] for plan in drawn)
    assert {clip.augmentation_group for plan in drawn for clip in plan.clips} == {0}
    assert {plan.labels for plan in drawn} == {(0, 1)}
    assert {plan.clips[0].frame_indices[0] for plan in drawn} == set(range(24 - 16 + 1))


def test_a_short_video_loops_stands_still_or_is_refused():
    """64 frames at a skip of 2.2 span 139."""
    looped, clamped = plans(SpeedClassSampler(), 100), plans(SpeedClassSampler(past_the_end="clamp"), 100)
    assert any(min(np.diff(plan.clips[FAST].frame_indices)) < 0 for plan in looped)
    assert all(min(np.diff(plan.clips[FAST].frame_indices)) >= 0 for plan in clamped)
    with pytest.raises(ValueError, match="video 7 has 138 frames; 139 or more are needed for 64 frames"):
        plans(SpeedClassSampler(past_the_end="reject"), 138)
    assert plans(SpeedClassSampler(past_the_end="reject"), 139)


@pytest.mark.parametrize("wrong", [{"normal_skip": (0.5, 1.2)}, {"normal_skip": (1.0, 1.8)}, {"fast_skip": (2.2, 1.7)}])
def test_ranges_that_overlap_or_stand_still_are_refused(wrong: dict):
    """A class must tell a speed: 1 or more, fast above normal."""
    with pytest.raises(ValueError, match="normal_skip is"):
        SpeedClassSampler(**wrong)
