"""A constant rate out of frames at any times: each instant takes the frame that is shown then."""

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import codec_settings, transcode
from rspnet_platform.videos.limits import VideoLimits
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.resampling import at_constant_rate
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import decode_all, encode_video, moving_pictures, numbered_pictures


def numbers(data: bytes, frames_per_second: float | None) -> list[int]:
    """Which of the `numbered_pictures` each frame is."""
    with open_video(data, short_side=32, frames_per_second=frames_per_second) as video:
        return [round((picture[:32].mean() - 16) / 219 * 255 / 10) for picture in video.frames]


def at_times(milliseconds: Sequence[int], container: str = "matroska") -> bytes:
    pictures = numbered_pictures(len(milliseconds))
    return encode_video(pictures, container=container, ticks=milliseconds, options={"bf": "0", "mbtree": "0"})


def frames_at(times: Sequence[int | None], tick: Fraction, duration: int) -> list[av.VideoFrame]:
    frames = []
    for time in times:
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.pts, frame.time_base, frame.duration = time, tick, duration
        frames.append(frame)
    return frames


@pytest.mark.parametrize("container", ["matroska", "mp4"])
def test_a_variable_rate_comes_out_as_it_is_shown(container: str) -> None:
    """A frame that is shown for half a second is repeated, frames between two instants are left out."""
    data = at_times([0, 100, 600, 620, 640, 700, 1000, 1100], container)
    assert numbers(data, 10)[:12] == [0, 1, 1, 1, 1, 1, 2, 5, 5, 5, 6, 7]
    assert numbers(data, None) == list(range(8))


def test_the_same_rate_changes_nothing() -> None:
    """Times rounded to milliseconds, as Matroska keeps them, neither repeat nor drop a frame."""
    pictures = numbered_pictures(25)
    for container, rate in (("matroska", 30), ("matroska", Fraction(30000, 1001)), ("avi", 30), ("mp4", 24)):
        data = encode_video(pictures, container=container, rate=rate, options={"bf": "0", "mbtree": "0"})
        assert numbers(data, float(rate)) == list(range(25))


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(15.0, [0, 2, 4, 6, 8]), (60.0, [i // 2 for i in range(20)]), (12.0, [0, 2, 5, 7]), (45.0, None)],
)
def test_other_rates(rate: float, expected: list[int] | None) -> None:
    """Half the rate drops every second frame, twice the rate doubles each; the length in seconds stays."""
    found = numbers(encode_video(numbered_pictures(10), rate=30), rate)
    assert found == (expected or [0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9])


def test_empty_chunks_of_an_avi_show_the_frame_before(shared_data: Path) -> None:
    """The header of such a file counts the empty chunks: at the file's own rate that many frames come out."""
    data = (shared_data / "actions" / "golf" / "golf_000.avi").read_bytes()
    config = IngestConfig(source="-", output="-", short_side=32, frames_per_second=30)
    video = transcode(io.BytesIO(data), config)
    assert (video.facts.num_frames, video.facts.num_frames_promised, video.num_frames) == (40, 48, 48)


def test_what_is_stored_has_the_rate_that_was_asked_for() -> None:
    """Number of frames, rate and pictures of the stored video are those at the new rate; the facts are the input's."""
    data = encode_video(moving_pictures(30, 48, 64), rate=30)
    config = IngestConfig(source="-", output="-", short_side=32, frames_per_second=7.5)
    video = transcode(io.BytesIO(data), config)
    assert (video.num_frames, video.frames_per_second, len(decode_all(video.data))) == (8, 7.5, 8)
    assert (video.facts.num_frames, video.facts.frames_per_second) == (30, 30)
    with av.open(io.BytesIO(video.data), "r") as container:
        assert container.streams.video[0].average_rate == Fraction(15, 2)
    assert codec_settings(config)["frames_per_second"] == "7.5"


def test_a_gap_of_hours_is_over_the_limit() -> None:
    """A time far in the future does not fill the memory with one frame repeated."""
    config = IngestConfig(
        source="-", output="-", short_side=32, frames_per_second=25, limits=VideoLimits(max_num_frames=1000)
    )
    with pytest.raises(VideoRefusedError) as caught:
        transcode(io.BytesIO(at_times([0, 40, 400_000_000, 400_000_040])), config)
    assert caught.value.reason == RefusalReason.OVER_LIMIT


@given(
    steps=st.lists(st.integers(0, 400), max_size=30),
    start=st.integers(-1000, 1000),
    rate=st.fractions(Fraction(1, 2), 60, max_denominator=10),
)
@settings(max_examples=200, deadline=None)
def test_every_instant_takes_the_last_frame_before_it(steps: list[int], start: int, rate: Fraction) -> None:
    """Against the definition, instant by instant, on any times in order."""
    times = list(np.cumsum([start, *steps]).tolist())
    frames = frames_at(times, Fraction(1, 1000), 40)
    found = [frames.index(frame) for frame in at_constant_rate(frames, rate, Fraction(25))]
    slack, expected, instant = Fraction(1, 1000), [], Fraction(0)
    while not expected or instant < Fraction(times[-1] + 40 - start, 1000) - slack:
        shown = [i for i, time in enumerate(times) if Fraction(time - start, 1000) <= instant + slack]
        expected.append(shown[-1])
        instant += 1 / rate
    assert found == expected


def test_missing_and_backward_times_go_on_at_the_average_rate() -> None:
    """Frames without times, and those of a second recording that begins anew, follow one another evenly."""
    for times in ([None] * 8, [0, 40, 80, 120, 0, 40, 80, 120], [None, 40, None, 120, None, None, 240, 280]):
        frames = frames_at(times, Fraction(1, 1000), 0)
        assert list(at_constant_rate(frames, Fraction(25), Fraction(25))) == frames
    assert list(at_constant_rate([], Fraction(25), Fraction(25))) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames_per_second": 0.0}, "frames_per_second is 0.0; accepted: 0.1 to 480"),
        ({"frames_per_second": float("nan")}, "frames_per_second is nan; accepted: 0.1 to 480"),
        ({"frames_per_second": 25.0, "profile": "original"}, "keeps each video's own bytes; accepted: no frames_per"),
    ],
)
def test_a_wrong_rate_fails_when_built(changes: dict, message: str) -> None:
    """The value and what would be accepted are named before anything starts."""
    with pytest.raises(ValueError, match=message):
        IngestConfig(source="-", output="-", **changes)
