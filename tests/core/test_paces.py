from collections import Counter

import numpy as np
import pytest

from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.paces import PaceSampler


def plans(sampler: PaceSampler, num_frames: int = 70, count: int = 400) -> list[ClipPlan]:
    generator = np.random.default_rng(0)
    video = VideoInfo(video_index=7, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    return [sampler.plan(video, generator) for _ in range(count)]


def slow_frames(start: int, speed: int, num_frames: int, num_frames_per_clip: int) -> tuple[int, ...]:
    """One frame after the other, as described for the published code: past the end comes the first frame."""
    found, index = [], start
    for _ in range(num_frames_per_clip):
        found.append(index)
        index = index + speed if index + speed < num_frames else 0
    return tuple(found)


@pytest.mark.parametrize("num_frames", [1, 2, 5, 17, 30, 64, 70])
def test_wrapped_clips_go_on_from_the_first_frame(num_frames: int):
    """Frame for frame what a loop gives, for videos shorter and longer than a clip; every start occurs."""
    drawn = plans(PaceSampler(), num_frames)
    for plan in drawn:
        [clip], [label] = plan.clips, plan.labels
        assert clip.playback_speed == label + 1
        assert clip.frame_indices == slow_frames(clip.frame_indices[0], label + 1, num_frames, 16)
    starts = {plan.clips[0].frame_indices[0] for plan in drawn}
    assert num_frames - len(starts) < 4
    assert max(starts) == num_frames - 1 or num_frames > 60


def test_wrapping_by_hand():
    """From frame 7 of 10 at pace 2: 7, 9, then 0, 2, 4, 6, 8 and again 0; not 1, where going round would lead."""
    clips = [plan.clips[0] for plan in plans(PaceSampler(num_frames_per_clip=8, speeds=(1, 2)), num_frames=10)]
    found = {clip.frame_indices for clip in clips if clip.frame_indices[0] == 7 and clip.playback_speed == 2}
    assert found == {(7, 9, 0, 2, 4, 6, 8, 0)}


def test_clamped_clips_stand_still_at_the_end():
    """Indices rise by the pace up to the last frame and stay."""
    for plan in plans(PaceSampler(overrun="clamp")):
        [clip], [label] = plan.clips, plan.labels
        expected = [min(clip.frame_indices[0] + i * (label + 1), 69) for i in range(16)]
        assert list(clip.frame_indices) == expected


def test_restricted_starts_leave_room_for_the_drawn_pace():
    """No clip jumps; 16 frames at pace 4 span 61 of 70, at pace 1 16 of 70; 60 frames are refused."""
    drawn = plans(PaceSampler(overrun="restrict_start"), count=1000)
    last_starts = Counter[int]()
    for plan in drawn:
        [clip], [label] = plan.clips, plan.labels
        assert set(np.diff(clip.frame_indices)) == {label + 1}
        assert clip.frame_indices[-1] < 70
        last_starts[label + 1] = max(last_starts[label + 1], clip.frame_indices[0])
    assert last_starts == {1: 54, 2: 39, 3: 24, 4: 9}
    with pytest.raises(ValueError, match="video 7 has 60 frames; 61 or more are needed for 16 frames at pace 4"):
        plans(PaceSampler(overrun="restrict_start"), num_frames=60)


def test_paces_are_drawn_evenly_and_apart():
    """Two clips of a video: each of the nine pairs of paces is equally likely, each clip has its own view."""
    drawn = plans(PaceSampler(num_clips=2, speeds=(1, 2, 8)), count=900)
    assert {tuple(clip.augmentation_group for clip in plan.clips) for plan in drawn} == {(0, 1)}
    for plan in drawn:
        for clip, label in zip(plan.clips, plan.labels, strict=True):
            assert clip.playback_speed == (1, 2, 8)[label]
            assert clip.frame_indices == slow_frames(clip.frame_indices[0], (1, 2, 8)[label], 70, 16)
    assert any(plan.clips[0].frame_indices[0] != plan.clips[1].frame_indices[0] for plan in drawn)
    counts = Counter(plan.labels for plan in drawn)
    assert len(counts) == 9
    assert max(abs(count - 100) for count in counts.values()) < 5 * np.sqrt(100)


@pytest.mark.parametrize("wrong", [{"speeds": (1,)}, {"speeds": (2, 1)}, {"num_clips": 0}, {"num_frames_per_clip": 1}])
def test_wrong_values_are_refused_by_name(wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PaceSampler(**wrong)
