import pytest

from rspnet_core.sampling.frame_indices import PastTheEnd, check_past_the_end, clip_span, frame_indices


def indices(start: int, policy: PastTheEnd, num_frames: int = 10) -> tuple[int, ...]:
    return frame_indices(start=start, num_frames_per_clip=4, frame_stride=2, num_frames=num_frames, past_the_end=policy)


def test_indices_inside_the_video_are_a_plain_stride():
    """Every policy gives start, start + stride, ... where that fits, up to the last frame."""
    assert indices(3, "loop") == indices(3, "clamp") == indices(3, "reject") == (3, 5, 7, 9)


def test_loop_starts_the_video_again():
    """Frames 6, 8, 10, 12 of a video of 10 are 6, 8, 0, 2."""
    assert indices(6, "loop") == (6, 8, 0, 2)


def test_clamp_repeats_the_last_frame():
    """Frames 6, 8, 10, 12 of a video of 10 are 6, 8, 9, 9."""
    assert indices(6, "clamp") == (6, 8, 9, 9)


def test_loop_goes_round_more_than_once():
    """A video of one frame gives that frame over and over."""
    assert indices(0, "loop", num_frames=1) == (0, 0, 0, 0)


def test_reject_names_the_frame_past_the_end():
    """The error says where the clip would have ended."""
    with pytest.raises(ValueError, match="ends at frame 10, past a video of 10"):
        indices(4, "reject")


@pytest.mark.parametrize("start", [-1, 10])
def test_a_start_outside_the_video_is_refused(start: int):
    """No policy makes sense of a start that is not a frame."""
    with pytest.raises(ValueError, match="outside"):
        indices(start, "loop")


def test_an_unknown_policy_is_refused():
    """The error lists the policies there are."""
    with pytest.raises(ValueError, match="loop, clamp, reject"):
        check_past_the_end("wrap")


def test_span_counts_first_and_last_frame():
    """16 frames at stride 2 reach from frame 0 to frame 30."""
    assert clip_span(16, 2) == 31
