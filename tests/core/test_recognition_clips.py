"""Which frames and which squares a classifier sees, by hand."""

import numpy as np
import pytest

from rspnet_core.recognition.clip_samplers import EvaluationClipSampler, TrainingClipSampler
from rspnet_core.recognition.square_crops import square_crops
from rspnet_core.sampling.clip_plan import ClipSampler, VideoInfo
from rspnet_core.sampling.views import IDENTITY_NUMBERS, CropBox

COVER = TrainingClipSampler(placement="cover")


def video(num_frames: int) -> VideoInfo:
    return VideoInfo(video_index=0, num_frames=num_frames, frames_per_second=25.0, height=64, width=80)


def frames(
    sampler: ClipSampler, num_frames: int, generator: np.random.Generator | None = None
) -> list[tuple[int, ...]]:
    plan = sampler.plan(video(num_frames), generator or np.random.default_rng(0))
    return [clip.frame_indices for clip in plan.clips]


def test_a_window_starts_anywhere_it_fits(generator):
    """Each of the three starts, and no other; frames are a stride apart."""
    sampler = TrainingClipSampler(num_frames_per_clip=4, frame_stride=2)
    seen = {frames(sampler, 9, generator)[0] for _ in range(60)}
    assert seen == {(0, 2, 4, 6), (1, 3, 5, 7), (2, 4, 6, 8)}


def test_a_window_of_a_short_video_is_looped_or_refused(generator):
    """As the policy says."""
    [looped] = frames(TrainingClipSampler(num_frames_per_clip=4), 3, generator)
    assert [(index - looped[0]) % 3 for index in looped] == [0, 1, 2, 0]
    with pytest.raises(ValueError, match="video 0 has 3 frames; 4 or more are needed for a clip of 4 frames"):
        TrainingClipSampler(num_frames_per_clip=4, past_the_end="reject").plan(video(3), generator)


def test_covering_clips_have_a_frame_of_every_stretch(generator):
    """Frame i lies in the i-th sixteenth of the video, all at one offset, and every frame of a stretch comes some
    time."""
    seen = {frames(COVER, 64, generator)[0] for _ in range(60)}
    assert seen == {tuple(range(offset, 64, 4)) for offset in range(4)}


@pytest.mark.parametrize("num_frames", [1, 7, 15, 16, 17, 31, 33, 100, 1001])
def test_covering_clips_stay_inside(num_frames: int):
    """In short videos frames come again; order and ends are kept, also at the largest offset."""
    for offset in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        indices = COVER.covering_clip(video(num_frames), float(offset)).frame_indices
        assert list(indices) == sorted(indices)
        assert indices[0] >= 0
        assert indices[-1] <= num_frames - 1
        assert indices[-1] >= num_frames - 1 - num_frames / 16
    if num_frames < 16:
        assert set(COVER.covering_clip(video(num_frames), 0.0).frame_indices) == set(range(num_frames))


def test_a_covering_clip_says_how_fast_it_is():
    """Its playback speed is the stride, which may be a fraction."""
    assert COVER.covering_clip(video(40), 0.0).playback_speed == 2.5


def test_windows_at_test_are_spread_evenly_for_each_crop():
    """Three starts of 0 to 6; all clips of one crop come together, and the augmentation group tells the crop."""
    sampler = EvaluationClipSampler(
        training=TrainingClipSampler(num_frames_per_clip=4), num_clips_per_crop=3, num_crops=2
    )
    plan = sampler.plan(video(10))
    assert [clip.frame_indices[0] for clip in plan.clips] == [0, 3, 6, 0, 3, 6]
    assert [clip.augmentation_group for clip in plan.clips] == [0, 0, 0, 1, 1, 1]
    assert sampler.num_clips == len(plan.clips) == 6


def test_covering_clips_at_test_share_the_offsets_out():
    """Two clips of 64 frames, in stretches of four: the second and the last of each."""
    sampler = EvaluationClipSampler(training=COVER, num_clips_per_crop=2)
    assert frames(sampler, 64) == [tuple(range(1, 64, 4)), tuple(range(3, 64, 4))]


@pytest.mark.parametrize(
    ("size", "first", "centre", "last"),
    [
        ((64, 80), (0, 0), (0, 8), (0, 16)),
        ((80, 64), (0, 0), (8, 0), (16, 0)),
        ((64, 64), (0, 0), (0, 0), (0, 0)),
        ((65, 83), (0, 0), (0, 8), (0, 18)),
    ],
)
def test_squares_lie_along_the_longer_side(size, first, centre, last):
    """At both ends and in the middle, even, as large as fits."""
    views = square_crops(3, 32)
    boxes = [view.draw(None, height=size[0], width=size[1], num_frames=2).crops for view in views]
    assert boxes == [(CropBox(corner[0], corner[1], 64, 64),) for corner in (first, centre, last)]


def test_one_crop_is_the_centre_and_changes_no_colours():
    """The view of all other evaluations."""
    [view] = square_crops(1, 32)
    assert (view.place, view.crop_size) == ("centre", 32)
    numbers = view.draw(None, height=64, width=80, num_frames=2).numbers
    assert numbers.tolist() == np.array([IDENTITY_NUMBERS] * 2, np.float32).tolist()


def test_covering_clips_have_no_stride_of_their_own():
    """It would be ignored."""
    with pytest.raises(ValueError, match="frame_stride is 2 with placement 'cover'; accepted is 1"):
        TrainingClipSampler(placement="cover", frame_stride=2)


def test_at_least_one_clip_and_crop():
    """Both are counted from 1, and crops are 1 or 3."""
    with pytest.raises(ValueError, match="num_clips_per_crop is 0"):
        EvaluationClipSampler(num_clips_per_crop=0)
    with pytest.raises(ValueError, match="num_crops is 0"):
        EvaluationClipSampler(num_crops=0)
