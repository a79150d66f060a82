"""Counts, rates and times are of decoded frames, whatever packets, tags and headers say."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rspnet_platform.inference.video_embedder import VideoEmbedder
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.videos.display_times import MAX_NUM_REORDERED, DisplayTimes, _sorted_times
from rspnet_platform.videos.resampling import at_constant_rate
from rspnet_platform.videos.sequential_decoding import open_video

from rspnet_core.encoders import build_encoder
from tests.orchestration.test_frame_rates import frames_at, numbers
from tests.small_encoder import CARD
from tests.videos import encode_video, numbered_pictures

FOUND = {
    "avi_h264_b_frames.avi": (60, 30, 30),
    "avi_mpeg4_b_frames.avi": (58, 30, 30),
    "field_coded_h264.mp4": (60, 30, 30),
    "field_coded_h264.ts": (60, 30, 30),
    "stale_duration_tag.mkv": (152, 30, 78),
    "not_coded_frames.avi": (46, 45 / (59 / 30), 30),
    "joined_with_time_jump.ts": (238, 30, 119),
    "rate_960.mp4": (60, 960, 1),
}
"""Decoded frames, their rate, and how many there are at 15 frames a second."""


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_in_use_is_taken(shared_data: Path, name: str) -> None:
    """All decoded frames, at the rate at which they are shown, in the data set and by a registered encoder."""
    data = (shared_data / "found" / name).read_bytes()
    num_frames, rate, num_at_15 = FOUND[name]
    video = transcode(io.BytesIO(data), IngestConfig(source="-", output="-", short_side=32))
    assert (video.num_frames, video.facts.num_frames) == (num_frames, num_frames)
    assert (video.frames_per_second, video.facts.frames_per_second) == pytest.approx((rate, rate), rel=1e-3)
    assert video.facts.num_time_jumps == (name == "joined_with_time_jump.ts")
    resampled = IngestConfig(source="-", output="-", short_side=32, frames_per_second=15, min_num_frames=1)
    assert transcode(io.BytesIO(data), resampled).num_frames == num_at_15
    assert VideoEmbedder(build_encoder("tiny"), CARD).embed([data]).shape == (1, 128)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_an_avi_with_b_frames_is_resampled_in_display_order(codec: str) -> None:
    """Its times are those of decoding: every second frame comes out at half the rate all the same."""
    data = encode_video(numbered_pictures(24), codec=codec, container="avi", rate=30, options={"bf": "3"})
    assert len(whole := numbers(data, None)) == 24
    assert numbers(data, 15) == whole[::2]


@given(steps=st.lists(st.integers(1, 9), min_size=1, max_size=60), data=st.data())
def test_times_of_decoding_become_those_of_display(steps: list[int], data: st.DataObject) -> None:
    """However a decoder reorders, as long as no frame waits for more than it may."""
    times = np.cumsum(steps).tolist()
    shuffled: list[int] = []
    for start in range(0, len(times), MAX_NUM_REORDERED):
        shuffled += data.draw(st.permutations(times[start : start + MAX_NUM_REORDERED]))
    frames = frames_at(shuffled, Fraction(1, 30), 1)
    assert [frame.pts for frame in _sorted_times(frames)] == times
    assert list(_sorted_times(frames)) == frames


def test_a_jump_of_the_clock_takes_no_time() -> None:
    """Frames go on at the nominal rate over it, and at their own times after it; without a limit the gap is filled."""
    times = [0, 100, 200, 60_000, 60_100, 60_300]
    frames = frames_at(times, Fraction(1, 1000), 100)
    found = at_constant_rate(frames, Fraction(10), Fraction(10), max_step_seconds=10)
    assert [frames.index(frame) for frame in found] == [0, 1, 2, 3, 4, 4, 5]
    assert sum(1 for _ in at_constant_rate(frames, Fraction(10), Fraction(10))) == 604


@pytest.mark.parametrize("rate", [Fraction(1, 20), Fraction(30000, 1001), Fraction(960)])
def test_extreme_rates_are_recorded(rate: Fraction) -> None:
    """Of a time-lapse and of a high-speed camera; a common one stays exact."""
    data = encode_video(numbered_pictures(20), rate=rate, options={"bf": "0", "mbtree": "0"})
    with open_video(data, short_side=32) as video:
        assert sum(1 for _ in video.frames) == 20
        assert float(video.frames_per_second) == pytest.approx(float(rate), rel=1e-6)


def test_times_that_give_no_rate_leave_the_stated_one() -> None:
    """Two frames hours apart, and frames that are a tick of 1 / 90,000 s apart."""
    for tick, step in ((Fraction(1, 1000), 36_000_000), (Fraction(1, 90_000), 1)):
        times = DisplayTimes(tick, has_jumping_clock=False)
        for frame in frames_at([0, step], tick, 1):
            times.add_frame(frame)
        assert times.rate(Fraction(25)) == 25


def test_a_data_set_of_before_is_read(small_dataset, tmp_path: Path) -> None:
    """Its table has no jumps: nothing is known of them."""
    for path in Path(small_dataset.uri).iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    videos = tmp_path / small_dataset.description.videos_file
    pq.write_table(pq.read_table(videos).drop_columns(["input_num_time_jumps"]), videos)
    assert open_dataset(str(tmp_path)).videos["input_num_time_jumps"].to_pylist() == [None] * 24
