from collections import Counter

import numpy as np
import pytest

from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.speed_pairs import OTHER_SPEED, QUERY, SAME_SPEED, SpeedPairSampler


def video(num_frames: int = 40) -> VideoInfo:
    return VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)


def plans(sampler: SpeedPairSampler, num_frames: int = 40, count: int = 400) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    return [sampler.plan(video(num_frames), generator) for _ in range(count)]


def strides(plan: ClipPlan) -> list[int]:
    return [clip.frame_indices[1] - clip.frame_indices[0] for clip in plan.clips]


def test_two_clips_share_a_speed_and_the_third_has_another():
    """The frames themselves, not only the labels, have the query's stride in the same-speed key alone."""
    for plan in plans(SpeedPairSampler(num_frames_per_clip=8)):
        query, same, other = strides(plan)
        assert query == same != other
        assert [clip.playback_speed for clip in plan.clips] == [query, same, other]


def test_frames_of_a_clip_are_equally_spaced_and_inside_the_video():
    """No clip jumps or leaves a video that is long enough."""
    for plan in plans(SpeedPairSampler(num_frames_per_clip=8)):
        for clip, stride in zip(plan.clips, strides(plan), strict=True):
            assert set(np.diff(clip.frame_indices)) == {stride}
            assert 0 <= clip.frame_indices[0] < clip.frame_indices[-1] < 40


def test_keys_share_their_start_and_view():
    """Keys differ in speed alone; the query has its own start and its own view."""
    drawn = plans(SpeedPairSampler(num_frames_per_clip=8))
    starts = [[clip.frame_indices[0] for clip in plan.clips] for plan in drawn]
    assert all(same == other for _, same, other in starts)
    assert any(query != same for query, same, _ in starts)
    assert {tuple(clip.augmentation_group for clip in plan.clips) for plan in drawn} == {(0, 1, 1)}


def test_keys_are_independent_when_asked():
    """With both switches off the other-speed key has its own start and its own view."""
    sampler = SpeedPairSampler(num_frames_per_clip=8, share_key_start=False, share_key_augmentation=False)
    drawn = plans(sampler)
    different = [plan.clips[SAME_SPEED].frame_indices[0] != plan.clips[OTHER_SPEED].frame_indices[0] for plan in drawn]
    assert np.mean(different) > 0.9
    assert {tuple(clip.augmentation_group for clip in plan.clips) for plan in drawn} == {(0, 1, 2)}


@pytest.mark.parametrize("clip", [QUERY, SAME_SPEED])
def test_starts_are_uniform_over_every_place_that_fits(clip: int):
    """Clips of 8 frames at up to stride 2 span 15 of 20 frames: starts 0 to 5, about 500 of 3,000 each."""
    drawn = plans(SpeedPairSampler(num_frames_per_clip=8), num_frames=20, count=3000)
    counts = Counter(plan.clips[clip].frame_indices[0] for plan in drawn)
    assert sorted(counts) == [0, 1, 2, 3, 4, 5]
    assert max(abs(count - 500) for count in counts.values()) < 5 * np.sqrt(3000 * (1 / 6) * (5 / 6))


def test_each_pair_of_speeds_is_equally_likely():
    """Three speeds make six ordered pairs, about 500 of 3,000 each."""
    drawn = plans(SpeedPairSampler(num_frames_per_clip=2, playback_speeds=(1, 2, 4)), count=3000)
    counts = Counter((strides(plan)[QUERY], strides(plan)[OTHER_SPEED]) for plan in drawn)
    assert len(counts) == 6
    assert max(abs(count - 500) for count in counts.values()) < 5 * np.sqrt(3000 * (1 / 6) * (5 / 6))


def test_a_short_video_loops_or_is_refused():
    """12 frames are fewer than the 15 that speed 2 needs: "loop" goes round, "reject" says so."""
    looped = plans(SpeedPairSampler(num_frames_per_clip=8), num_frames=12)
    assert all(max(plan.wanted_frames) < 12 for plan in looped)
    with pytest.raises(ValueError, match="video 7 has 12 frames; 15 are needed"):
        plans(SpeedPairSampler(num_frames_per_clip=8, past_the_end="reject"), num_frames=12)


@pytest.mark.parametrize("speeds", [(1,), (1, 1), (0, 1), ()])
def test_speeds_that_cannot_be_told_apart_are_refused(speeds: tuple[int, ...]):
    """Two different positive strides are the least that ranking needs."""
    with pytest.raises(ValueError, match="playback_speeds"):
        SpeedPairSampler(playback_speeds=speeds)


def test_a_plan_depends_on_its_stream_alone():
    """Equal keys give equal plans, and another seed, epoch, video or purpose gives another."""
    sampler, long = SpeedPairSampler(num_frames_per_clip=4), video(10_000)
    plan = sampler.plan(long, random_stream(1, 2, 3, "clips"))
    assert plan == sampler.plan(long, random_stream(1, 2, 3, "clips"))
    for key in ((0, 2, 3, "clips"), (1, 0, 3, "clips"), (1, 2, 0, "clips"), (1, 2, 3, "augmentation")):
        assert plan != sampler.plan(long, random_stream(*key))
