from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.independent_clips import IndependentClipSampler


def plans(sampler: IndependentClipSampler, num_frames: int = 80, count: int = 600) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def starts(plan: ClipPlan) -> tuple[int, ...]:
    return tuple(clip.frame_indices[0] for clip in plan.clips)


def test_clips_lie_anywhere_in_order_of_time():
    """8 frames at stride 8 span 57 of 61: five starts, pairs as often as two independent draws give them."""
    drawn = plans(IndependentClipSampler(), num_frames=61, count=1250)
    counts = Counter(starts(plan) for plan in drawn)
    for early, late in combinations_with_replacement(range(5), 2):
        expected = 50 if early == late else 100
        assert abs(counts[early, late] - expected) < 5 * np.sqrt(expected)
    assert counts.total() == sum(counts[pair] for pair in combinations_with_replacement(range(5), 2))
    assert {tuple(np.diff(clip.frame_indices).tolist()) for plan in drawn for clip in plan.clips} == {(8,) * 7}


def test_each_clip_has_its_own_view():
    """As many groups as clips."""
    [plan] = plans(IndependentClipSampler(num_clips=4), count=1)
    assert [clip.augmentation_group for clip in plan.clips] == [0, 1, 2, 3]


@pytest.mark.parametrize(("low", "high"), [(2, None), (0, 2), (1, 3)])
def test_limited_distances_leave_all_that_keep_to_them_equally_likely(low: int, high: int | None):
    """Three clips among six starts: the triples drawn are those that a search finds, each equally often."""
    sampler = IndependentClipSampler(
        num_clips=3,
        num_frames_per_clip=2,
        frame_stride=1,
        min_frames_between_starts=low,
        max_frames_between_starts=high,
    )
    allowed = [
        triple
        for triple in combinations_with_replacement(range(6), 3)
        if all(low <= gap <= (6 if high is None else high) for gap in np.diff(triple))
    ]
    counts = Counter(starts(plan) for plan in plans(sampler, num_frames=7, count=60 * len(allowed)))
    assert sorted(counts) == allowed
    chi_squared = sum((count - 60) ** 2 / 60 for count in counts.values())
    assert chi_squared < len(allowed) + 4 * np.sqrt(2 * len(allowed))


def test_a_video_without_room_for_all_clips_is_refused():
    """Three clips that span 57, starts 20 or more apart, fit into 97 frames in one way and into 96 in none."""
    sampler = IndependentClipSampler(num_clips=3, min_frames_between_starts=20)
    assert {starts(plan) for plan in plans(sampler, 97)} == {(0, 20, 40)}
    with pytest.raises(ValueError, match="video 7 has 96 frames; 97 or more are needed for 3 clips that span 57"):
        plans(sampler, 96)


def test_a_short_video_loops_or_is_refused():
    """Without a minimum distance 56 frames have starts anywhere, and indices go round; "reject" says no."""
    drawn = plans(IndependentClipSampler(), 56, count=1500)
    assert {starts(plan)[0] for plan in drawn} | {starts(plan)[1] for plan in drawn} == set(range(56))
    clip = drawn[0].clips[0]
    assert clip.frame_indices == tuple((clip.frame_indices[0] + 8 * i) % 56 for i in range(8))
    with pytest.raises(ValueError, match="video 7 has 56 frames; 57 or more are needed"):
        plans(IndependentClipSampler(past_the_end="reject"), 56)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_clips": 0},
        {"frame_stride": 0},
        {"min_frames_between_starts": -1},
        {"max_frames_between_starts": 2, "min_frames_between_starts": 3},
    ],
)
def test_wrong_values_are_refused_by_name(wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        IndependentClipSampler(**wrong)
