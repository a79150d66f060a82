from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.frame_orders import FrameOrderSampler, order_classes


def plans(sampler: FrameOrderSampler, num_frames: int = 80, count: int = 600) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def frames(plan: ClipPlan) -> list[int]:
    return [index for clip in plan.clips for index in clip.frame_indices]


def ranks(plan: ClipPlan) -> tuple[int, ...]:
    return tuple(np.argsort(np.argsort(frames(plan))).tolist())


def test_an_order_and_its_reverse_are_one_class():
    """Three classes of three frames, by hand; 12 of four, which with their reverses are all 24 orders."""
    assert order_classes(3) == ((0, 1, 2), (0, 2, 1), (1, 0, 2))
    classes = order_classes(4)
    assert len(classes) == 12
    assert list(classes) == sorted(classes)
    assert sorted([*classes, *(order[::-1] for order in classes)]) == sorted(permutations(range(4)))


def test_the_label_tells_the_order_of_the_frames_up_to_direction():
    """The ranks of the shown frames, or their reverse, are the label's class; every order occurs equally often."""
    drawn = plans(FrameOrderSampler(), count=1200)
    for plan in drawn:
        assert order_classes(4)[plan.labels[0]] in (ranks(plan), ranks(plan)[::-1])
    counts = Counter(ranks(plan) for plan in drawn)
    assert len(counts) == 24
    assert max(abs(count - 50) for count in counts.values()) < 5 * np.sqrt(50)


def test_spacings_are_uniform_between_their_limits():
    """5 to 15 frames from one to the next in time, each of the 11 equally often, and each drawn by itself."""
    drawn = plans(FrameOrderSampler(), count=1100)
    spacings = np.array([np.diff(sorted(frames(plan))) for plan in drawn])
    counts = Counter(spacings.flatten().tolist())
    assert sorted(counts) == list(range(5, 16))
    assert max(abs(count - 300) for count in counts.values()) < 5 * np.sqrt(300)
    correlations = np.array(np.corrcoef(spacings.T))
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 5 / np.sqrt(1100)


def test_a_short_video_narrows_the_spacings_until_none_fits():
    """22 frames leave room for spacings of 5 to 7; 16 for 5 alone; 15 for none."""
    assert max(max(np.diff(sorted(frames(plan)))) for plan in plans(FrameOrderSampler(), 22)) == 7
    assert {tuple(sorted(frames(plan))) for plan in plans(FrameOrderSampler(), 16)} == {(0, 5, 10, 15)}
    with pytest.raises(ValueError, match="video 7 has 15 frames; 16 or more are needed for 4 frames, 5 apart"):
        plans(FrameOrderSampler(), 15)


def test_frames_are_clips_of_one_frame_under_one_view():
    """One crop and flip for all; they reach both ends of the video."""
    drawn = plans(FrameOrderSampler(), 40)
    assert {len(clip.frame_indices) for plan in drawn for clip in plan.clips} == {1}
    assert {clip.augmentation_group for plan in drawn for clip in plan.clips} == {0}
    assert {min(index for plan in drawn for index in frames(plan)), max(max(frames(plan)) for plan in drawn)} == {0, 39}


@pytest.mark.parametrize(
    "wrong", [{"num_clips": 1}, {"num_clips": 7}, {"min_frame_spacing": 0}, {"max_frame_spacing": 4}]
)
def test_wrong_values_are_refused_by_name(wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FrameOrderSampler(**wrong)
