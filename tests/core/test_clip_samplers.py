"""What every sampler promises, whatever its method."""

from functools import cache

import pytest

from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_cloze import ClipClozeSampler
from rspnet_core.sampling.clip_orders import ClipOrderSampler
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSampler, VideoInfo
from rspnet_core.sampling.frame_orders import FrameOrderSampler
from rspnet_core.sampling.independent_clips import IndependentClipSampler
from rspnet_core.sampling.paces import PaceSampler
from rspnet_core.sampling.speed_classes import SpeedClassSampler
from rspnet_core.sampling.speed_lists import SpeedListSampler
from rspnet_core.sampling.temporal_intervals import TemporalIntervalSampler

SAMPLERS: dict[str, tuple[ClipSampler, int]] = {
    "intervals": (TemporalIntervalSampler(), 0),
    "intervals_clamp": (TemporalIntervalSampler(past_the_end="clamp"), 0),
    "intervals_reject": (TemporalIntervalSampler(past_the_end="reject", interval_power=2.0), 0),
    "intervals_uniform": (TemporalIntervalSampler(interval_distribution="uniform"), 0),
    "intervals_increasing": (TemporalIntervalSampler(interval_distribution="increasing"), 0),
    "speed_list": (SpeedListSampler(), 0),
    "speed_list_apart": (SpeedListSampler(share_key_start=False, share_key_augmentation=False), 0),
    "speed_list_reject": (SpeedListSampler(past_the_end="reject"), 0),
    "pace_wrap": (PaceSampler(), 1),
    "pace_clamp": (PaceSampler(overrun="clamp"), 1),
    "pace_restrict": (PaceSampler(overrun="restrict_start"), 1),
    "pace_pair": (PaceSampler(num_clips=2), 2),
    "speed_class": (SpeedClassSampler(), 2),
    "speed_class_clamp": (SpeedClassSampler(past_the_end="clamp"), 2),
    "speed_class_reject": (SpeedClassSampler(past_the_end="reject"), 2),
    "clip_order": (ClipOrderSampler(), 1),
    "clip_order_squeeze": (ClipOrderSampler(too_short="squeeze", num_clips=4), 1),
    "cloze": (ClipClozeSampler(), 2),
    "cloze_squeeze": (ClipClozeSampler(too_short="squeeze", share_augmentation=True), 2),
    "frame_order": (FrameOrderSampler(), 1),
    "independent": (IndependentClipSampler(num_clips=3), 0),
    "independent_apart": (IndependentClipSampler(num_clips=3, min_frames_between_starts=20), 0),
    "independent_near": (IndependentClipSampler(num_clips=3, max_frames_between_starts=20), 0),
    "independent_reject": (IndependentClipSampler(past_the_end="reject"), 0),
}
LENGTHS = range(1, 201)


@cache
def plan(name: str, num_frames: int, video_index: int = 7) -> ClipPlan | None:
    """None for a video that the sampler refuses."""
    video = VideoInfo(video_index=video_index, num_frames=num_frames, frames_per_second=25.0, height=64, width=64)
    try:
        return SAMPLERS[name][0].plan(video, random_stream(0, 1, video_index, "clips"))
    except ValueError as error:
        if f"video {video_index} has {num_frames} frames" not in str(error):
            raise
        return None


@pytest.mark.parametrize("name", SAMPLERS)
def test_plans_have_one_form_whatever_the_length_of_the_video(name: str):
    """Clips, frames and labels in constant number, plain whole numbers, all frames inside videos of 1 to 200 frames."""
    sampler, num_labels = SAMPLERS[name]
    drawn = [(length, planned) for length in LENGTHS if (planned := plan(name, length))]
    for length, planned in drawn:
        assert len(planned.clips) == sampler.num_clips
        assert len(planned.labels) == num_labels
        assert all(type(label) is int for label in planned.labels)
        for clip in planned.clips:
            assert len(clip.frame_indices) == sampler.num_frames_per_clip
            assert all(type(index) is int and 0 <= index < length for index in clip.frame_indices)
    assert drawn, "no length was long enough"


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_suits_the_shortest_video_suits_every_longer_one(name: str):
    """A run tries its sampler on its shortest video alone before it starts."""
    accepted = [plan(name, length) is not None for length in LENGTHS]
    assert accepted == sorted(accepted)


@pytest.mark.parametrize("name", SAMPLERS)
def test_plans_depend_on_their_stream_alone(name: str):
    """Drawn again from an equal stream a plan is equal, and among ten videos' streams they differ."""
    again = plan.__wrapped__
    plans = [plan(name, 200, video_index) for video_index in range(10)]
    assert plans == [again(name, 200, video_index) for video_index in range(10)]
    assert len(set(plans)) > 5
