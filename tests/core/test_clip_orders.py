from collections import Counter

import numpy as np
import pytest

from rspnet_core.sampling.clip_orders import ClipOrderSampler, clip_permutations
from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo


def plans(sampler: ClipOrderSampler, num_frames: int = 80, count: int = 600) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def starts(plan: ClipPlan) -> list[int]:
    return [clip.frame_indices[0] for clip in plan.clips]


def test_labels_of_three_clips_by_hand():
    """Lexicographic: 0 is the order of time, 5 its reverse."""
    assert clip_permutations(3) == ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@pytest.mark.parametrize("num_clips", [2, 3, 4])
def test_the_label_tells_the_order_of_the_frames(num_clips: int):
    """Ranking the clips by their frames gives back the permutation; every label occurs."""
    sampler = ClipOrderSampler(num_clips=num_clips, num_frames_per_clip=4, num_frames_between=2)
    drawn = plans(sampler)
    for plan in drawn:
        ranks = tuple(np.argsort(np.argsort(starts(plan))).tolist())
        assert clip_permutations(num_clips)[plan.labels[0]] == ranks
    assert {plan.labels[0] for plan in drawn} == set(range(sampler.num_classes))


def test_labels_are_drawn_evenly():
    """Six classes, about 200 of 1,200 each."""
    counts = Counter(plan.labels[0] for plan in plans(ClipOrderSampler(), count=1200))
    assert max(abs(counts[label] - 200) for label in range(6)) < 5 * np.sqrt(200)


def test_clips_are_consecutive_frames_with_the_interval_between():
    """16 frames each, 8 between, 64 in all: starts of the first clip are 0 to 16 in 80 frames."""
    drawn = plans(ClipOrderSampler())
    for plan in drawn:
        assert all(set(np.diff(clip.frame_indices)) == {1} for clip in plan.clips)
        assert np.diff(sorted(starts(plan))).tolist() == [24, 24]
    assert {min(starts(plan)) for plan in drawn} == set(range(17))


def test_a_short_video_is_refused_or_squeezed():
    """63 frames are one too few; squeezed, clips keep to their true order down to starts one frame apart."""
    with pytest.raises(ValueError, match="video 7 has 63 frames; 64 or more are needed for 3 clips of 16 frames"):
        plans(ClipOrderSampler(), 63)
    squeeze = ClipOrderSampler(too_short="squeeze")
    assert {tuple(sorted(starts(plan))) for plan in plans(squeeze, 62)} == {(0, 23, 46)}
    assert {tuple(sorted(starts(plan))) for plan in plans(squeeze, 18)} == {(0, 1, 2)}
    assert len({plan.labels for plan in plans(squeeze, 18)}) == 6
    with pytest.raises(ValueError, match="video 7 has 17 frames; 18 or more are needed"):
        plans(squeeze, 17)


def test_each_clip_has_its_own_crop_unless_shared():
    """Groups follow the places in the plan, so that they say nothing of the order."""
    assert {tuple(c.augmentation_group for c in plan.clips) for plan in plans(ClipOrderSampler())} == {(0, 1, 2)}
    shared = plans(ClipOrderSampler(share_augmentation=True))
    assert {clip.augmentation_group for plan in shared for clip in plan.clips} == {0}


@pytest.mark.parametrize("wrong", [{"num_clips": 1}, {"num_clips": 7}, {"num_frames_between": -1}])
def test_wrong_values_are_refused_by_name(wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClipOrderSampler(**wrong)
