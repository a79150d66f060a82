from collections import Counter

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.speed_lists import ANCHOR, SpeedListSampler


def plans(sampler: SpeedListSampler, num_frames: int = 60, count: int = 300) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def test_each_speed_has_a_key_and_the_anchor_one_of_them():
    """Strides of the keys are the list, from the anchor's own on and round; anchors are drawn evenly from it."""
    rounds = {1: [1, 3, 4], 3: [3, 4, 1], 4: [4, 1, 3]}
    drawn = plans(SpeedListSampler(num_frames_per_clip=8, playback_speeds=(1, 3, 4)), count=900)
    for plan in drawn:
        strides = [set(np.diff(clip.frame_indices)) for clip in plan.clips]
        assert strides == [{clip.playback_speed} for clip in plan.clips]
        assert [clip.playback_speed for clip in plan.clips[1:]] == rounds[int(plan.clips[ANCHOR].playback_speed)]
    counts = Counter(plan.clips[ANCHOR].playback_speed for plan in drawn)
    assert all(abs(counts[speed] - 300) < 5 * np.sqrt(900 * (1 / 3) * (2 / 3)) for speed in (1, 3, 4))


def test_keys_share_start_and_view_and_the_anchor_neither():
    """Keys differ in speed alone."""
    drawn = plans(SpeedListSampler(num_frames_per_clip=8))
    starts = [[clip.frame_indices[0] for clip in plan.clips] for plan in drawn]
    assert all(len(set(keys)) == 1 for _, *keys in starts)
    assert np.mean([anchor != keys[0] for anchor, *keys in starts]) > 0.9
    assert {tuple(clip.augmentation_group for clip in plan.clips) for plan in drawn} == {(0, 1, 1, 1)}


def test_keys_are_independent_when_asked():
    """With both switches off each key has its own start and view."""
    drawn = plans(SpeedListSampler(num_frames_per_clip=8, share_key_start=False, share_key_augmentation=False))
    assert np.mean([len({clip.frame_indices[0] for clip in plan.clips}) == 4 for plan in drawn]) > 0.7
    assert {tuple(clip.augmentation_group for clip in plan.clips) for plan in drawn} == {(0, 1, 2, 3)}


def test_a_short_video_loops_or_is_refused():
    """8 frames at speed 4 span 29: of 20 frames all are in reach, or none may be."""
    looped = plans(SpeedListSampler(num_frames_per_clip=8), num_frames=20)
    assert {plan.clips[ANCHOR].frame_indices[0] for plan in looped} == set(range(20))
    with pytest.raises(ValueError, match="video 7 has 20 frames; 29 or more are needed for 8 frames at speed 4"):
        plans(SpeedListSampler(num_frames_per_clip=8, past_the_end="reject"), num_frames=20)


@pytest.mark.parametrize("speeds", [(), (1,), (0, 1), (1, 1, 2), (2, 1)])
def test_lists_without_an_order_are_refused(speeds: tuple[int, ...]):
    """Two or more different strides, rising."""
    with pytest.raises(ValueError, match="playback_speeds"):
        SpeedListSampler(playback_speeds=speeds)
