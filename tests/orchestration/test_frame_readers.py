"""Three ways to the same frames, and what each says of a video that does not give them."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.shards.row_groups import EncodedVideo, read_videos
from rspnet_platform.stream.frame_readers import (
    DecordReader,
    FrameReader,
    Frames,
    IndexedReader,
    SequentialReader,
    frame_reader,
)
from rspnet_platform.videos.limits import VideoLimits

from tests.original_dataset import as_original
from tests.videos import encode_video, moving_pictures

READERS = {"pyav": SequentialReader(short_side=64), "decord": DecordReader()}
LEAST_DECIBELS = 34.0
"""Of two encodings and two scalers of one picture. Pictures that are a frame apart have 13 to 30 here."""


@pytest.fixture(scope="module")
def original_dataset(small_dataset, tmp_path_factory) -> ShardedDataset:
    """The small data set's own files."""
    folder = tmp_path_factory.mktemp("original") / "shards"
    return as_original(small_dataset, Path(small_dataset.uri).parent / "videos", folder)


def first_video(dataset: ShardedDataset) -> EncodedVideo:
    return all_videos(dataset)[0]


def all_videos(dataset: ShardedDataset) -> list[EncodedVideo]:
    places = zip(*(dataset.videos[name].to_pylist() for name in ("shard", "row_group", "row")), strict=True)
    return [read_videos(dataset.uri, shard, row_group, [row])[0] for shard, row_group, row in places]


def decibels(picture: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise ratio."""
    error = np.mean((picture.astype(np.float64) - other) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def check_equal(expected: Frames, found: Frames) -> None:
    """The same indices with the same pictures, in luma and in colour."""
    assert set(found) == set(expected)
    for index, planes in expected.items():
        other = found[index]
        assert decibels(planes.luma, other.luma) > LEAST_DECIBELS, index
        assert decibels(np.stack(planes[1:]), np.stack(other[1:])) > LEAST_DECIBELS, index


@pytest.mark.parametrize("decoder", READERS)
def test_both_profiles_give_the_same_frames(small_dataset, original_dataset, decoder):
    """Of every video, the first, the last and some between; a neighbour's picture would be far off."""
    for indexed, original in zip(all_videos(small_dataset), all_videos(original_dataset), strict=True):
        wanted = {0, 1, 5, 12, 19}
        expected = IndexedReader().read(indexed, wanted)
        assert decibels(expected[0].luma, expected[1].luma) < 20
        check_equal(expected, READERS[decoder].read(original, wanted))


@pytest.mark.parametrize("decoder", READERS)
def test_real_videos_give_the_same_frames(shared_data, tmp_path, decoder):
    """MPEG-4 in AVI, H.264 in MP4 and Matroska; of sizes that are scaled."""
    (tmp_path / "videos").mkdir()
    for name in ("actions/golf/golf_003.avi", "odd_videos/hiera__dog.mp4", "odd_videos/sample-videos__bird.mkv"):
        shutil.copy(shared_data / name, tmp_path / "videos")
    config = IngestConfig(source=str(tmp_path / "videos"), output=str(tmp_path / "indexed"), short_side=64)
    indexed = open_dataset(ingest(config).output)
    original = as_original(indexed, tmp_path / "videos", tmp_path / "original")
    for one, other in zip(all_videos(indexed), all_videos(original), strict=True):
        wanted = range(0, one.info.num_frames, 4)
        check_equal(IndexedReader().read(one, wanted), READERS[decoder].read(other, wanted))


def test_a_frame_count_of_its_own_makes_a_video_damaged_for_decord(shared_data, original_dataset):
    """It counts two frames more than there are in this file, and everything it returns is off: refused, not guessed."""
    data = (shared_data / "interactions" / "kick" / "kick_000.avi").read_bytes()
    video = first_video(original_dataset)
    video = replace(video, data=data, info=replace(video.info, num_frames=98, height=64, width=92))
    assert len(READERS["pyav"].read(video, [0, 97])) == 2
    with pytest.raises(DamagedVideoError, match="decord counts 100 frames, and the ingest counted 98"):
        READERS["decord"].read(video, [0, 97])


@pytest.mark.parametrize("decoder", READERS)
@pytest.mark.parametrize("data", [b"", b"\0" * 5000, b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n"])
def test_what_is_no_video_is_damaged(original_dataset, decoder, data):
    """Also a playlist, which must open no other file."""
    with pytest.raises(DamagedVideoError, match="unreadable"):
        READERS[decoder].read(replace(first_video(original_dataset), data=data), [0])


@pytest.mark.parametrize("decoder", READERS)
def test_fewer_frames_than_promised_are_damage(original_dataset, decoder):
    """A shorter video in the row's place, where the frames that are asked for are not."""
    data = encode_video(moving_pictures(12, 64, 80))
    with pytest.raises(DamagedVideoError, match=r"wanted frames are missing|decord counts 12 frames"):
        READERS[decoder].read(replace(first_video(original_dataset), data=data), [0, 19])


@pytest.mark.parametrize("decoder", READERS)
def test_what_the_ingest_let_through_is_read(original_dataset, monkeypatch, decoder):
    """Its limits may have been raised: a reader's own defaults must not call such videos damaged."""
    for name, value in (("max_num_frames", 5), ("max_pixels_per_frame", 16)):
        monkeypatch.setitem(VideoLimits.__init__.__kwdefaults__, name, value)
    video = first_video(original_dataset)
    assert set(READERS[decoder].read(video, [0, video.info.num_frames - 1])) == {0, video.info.num_frames - 1}


def test_pictures_of_another_size_are_damage(original_dataset):
    """They would be cropped where nobody looked."""
    video = first_video(original_dataset)
    with pytest.raises(DamagedVideoError, match=r"frames of \[\(64, 80\)\] came out where the row promises \(64, 90\)"):
        READERS["pyav"].read(replace(video, info=replace(video.info, width=90)), [0])


@pytest.mark.parametrize(
    ("profile", "decoder", "expected"),
    [
        ("indexed", None, IndexedReader()),
        ("original", None, SequentialReader(short_side=64)),
        ("original", "pyav", SequentialReader(short_side=64)),
        ("original", "decord", DecordReader()),
    ],
)
def test_the_profile_decides_who_reads(small_dataset, profile, decoder, expected: FrameReader):
    """With a decoder to choose for the original profile; each says its name and version."""
    reader = frame_reader(replace(small_dataset.description, profile=profile), decoder)
    assert reader == expected
    assert {"indexed": "packet index, PyAV 1", "original": "decord 0" if decoder == "decord" else "sequential, PyAV 1"}[
        profile
    ] in reader.decoder


@pytest.mark.parametrize(
    ("profile", "decoder", "message"),
    [
        ("indexed", "decord", "data.decoder is 'decord', and the data set's profile is"),
        ("raw", None, "profile is 'raw'"),
    ],
)
def test_what_cannot_be_read_is_refused(small_dataset, profile, decoder, message):
    """Before anything starts."""
    with pytest.raises(ValueError, match=message):
        frame_reader(replace(small_dataset.description, profile=profile), decoder)
