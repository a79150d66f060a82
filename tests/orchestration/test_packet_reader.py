"""Reading packets by index gives the frames of a sequential decode, or an error naming what is missing."""

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import TranscodedVideo, transcode
from rspnet_platform.shards.i420 import copy_planes
from rspnet_platform.shards.packet_index import PacketIndex, index_packets
from rspnet_platform.shards.packet_reader import DamagedVideoError, read_frames, read_planes
from rspnet_platform.synthetic_videos import SyntheticVideosConfig, render_video

from tests.videos import decode_all, encode_video, moving_pictures


def make_indexed(
    num_frames: int, height: int = 64, width: int = 80, short_side: int = 64, seed: int = 0
) -> TranscodedVideo:
    data = encode_video(moving_pictures(num_frames, height, width, seed))
    return transcode(io.BytesIO(data), IngestConfig(source="-", output="-", short_side=short_side))


@pytest.fixture(scope="module")
def indexed() -> TranscodedVideo:
    return make_indexed(75)


@pytest.mark.parametrize(("num_frames", "height", "width"), [(2, 64, 64), (33, 64, 90), (75, 66, 118)])
def test_every_frame_equals_sequential_decoding(num_frames: int, height: int, width: int) -> None:
    """All frames are bit-exact, also where lines are padded and chroma planes end mid-line."""
    video = make_indexed(num_frames, height, width, short_side=66)
    reference = decode_all(video.data)
    frames = read_frames(video.data, video.index, range(num_frames))
    assert sorted(frames) == list(range(num_frames)) == list(range(len(reference)))
    assert all(np.array_equal(frames[i], reference[i]) for i in range(num_frames))


def test_random_unions_equal_sequential_decoding(indexed: TranscodedVideo) -> None:
    """Whatever set of frames is wanted, exactly those come out, bit-exact."""
    reference = decode_all(indexed.data)
    generator = np.random.default_rng(0)
    for _ in range(150):
        num_wanted = generator.integers(1, 40)
        wanted = set(generator.integers(0, indexed.num_frames, num_wanted).tolist())
        frames = read_frames(memoryview(indexed.data), indexed.index, wanted)
        assert frames.keys() == wanted
        assert all(np.array_equal(frames[i], reference[i]) for i in wanted)


def test_ordinary_h264_is_readable_by_index_too() -> None:
    """The index does not depend on our codec settings: scene cuts, P-frames and default groups are fine."""
    data = render_video(SyntheticVideosConfig(), "circling", "ringed_star", 0)
    reference = decode_all(data)
    frames = read_frames(data, index_packets(data), [47, 0, 11, 11])
    assert sorted(frames) == [0, 11, 47]
    assert all(np.array_equal(frames[i], reference[i]) for i in frames)


def test_most_packets_are_disposable(indexed: TranscodedVideo) -> None:
    """The profile keeps its promise: most frames may be skipped, one key frame begins each group of 32."""
    assert indexed.index.is_disposable.mean() > 0.8
    assert np.flatnonzero(indexed.index.is_key).tolist() == [0, 32, 64]


def test_index_survives_a_row(indexed: TranscodedVideo) -> None:
    """`from_row` is the inverse of `to_row`."""
    restored = PacketIndex.from_row(indexed.index.to_row())
    assert restored.extradata == indexed.index.extradata
    assert np.array_equal(restored.offset, indexed.index.offset)
    assert np.array_equal(restored.frame_index, indexed.index.frame_index)


def test_nothing_wanted_decodes_nothing(indexed: TranscodedVideo) -> None:
    """No wanted frames are no frames, and no error."""
    assert read_frames(b"", indexed.index, []) == {}


@pytest.mark.parametrize("wanted", [[-1], [75], [3, 99]])
def test_a_frame_outside_the_video_is_a_mistake_of_the_plan(indexed: TranscodedVideo, wanted: list[int]) -> None:
    """An index outside the video is a ValueError with the accepted range, not damage."""
    with pytest.raises(ValueError, match="accepted: 0 to 74"):
        read_frames(indexed.data, indexed.index, wanted)


@pytest.mark.parametrize("damage", ["zeros", "noise", "truncated"])
def test_damage_is_named(indexed: TranscodedVideo, damage: str) -> None:
    """A wanted frame whose packets are destroyed raises and is named."""
    key = int(np.flatnonzero(indexed.index.is_key)[1])
    start, size = int(indexed.index.offset[key]), int(indexed.index.size[key])
    noise = np.random.default_rng(0).bytes(size)
    filling = {"zeros": bytes(size), "noise": noise, "truncated": b""}[damage]
    data = indexed.data[:start] + filling + (indexed.data[start + size :] if filling else b"")
    with pytest.raises(DamagedVideoError, match=r"1 of 2 wanted frames are missing \(frames 32\)"):
        read_frames(data, indexed.index, [0, 32])
    assert read_frames(data, indexed.index, [0]).keys() == {0}


def test_pictures_of_another_format_are_damage() -> None:
    """Nobody of ours wrote H.264 that is not 4:2:0; its chroma would be read as something else."""
    data = encode_video(moving_pictures(3, 64, 64), pixel_format="yuv444p")
    with pytest.raises(DamagedVideoError, match="a yuv444p frame of 64x64; accepted: yuv420p of even sides"):
        read_frames(data, index_packets(data), [0])


def test_frames_outlive_their_decoder(indexed: TranscodedVideo) -> None:
    """Views of decoder memory keep their pictures while other videos are decoded."""
    planes = read_planes(indexed.data, indexed.index, range(40))
    for seed in range(3):
        other = make_indexed(40 + seed)
        read_frames(other.data, other.index, range(40))
    reference = decode_all(indexed.data)
    assert all(np.array_equal(copy_planes(planes[i]), reference[i]) for i in range(40))


def test_videos_that_share_a_decoder_leave_nothing_behind(indexed: TranscodedVideo) -> None:
    """Two of equal extradata by turns, one of another size between them, and damage that breaks off a read."""
    other, larger = make_indexed(75, seed=1), make_indexed(75, short_side=48)
    assert other.index.extradata == indexed.index.extradata != larger.index.extradata
    videos = [(video, decode_all(video.data)) for video in (indexed, other, larger)]
    damaged = indexed.data[: len(indexed.data) // 2]
    generator = np.random.default_rng(1)
    for _ in range(40):
        for video, reference in videos:
            wanted = generator.integers(0, 75, 6).tolist()
            frames = read_frames(video.data, video.index, wanted)
            assert all(np.array_equal(frames[i], reference[i]) for i in wanted)
        with pytest.raises(DamagedVideoError):
            read_frames(damaged, indexed.index, [0, 74])


def test_threads_do_not_share_a_decoder(indexed: TranscodedVideo) -> None:
    """Four at once, each with frames of its own."""
    reference = decode_all(indexed.data)

    def is_right(seed: int) -> bool:
        generator = np.random.default_rng(seed)
        for _ in range(20):
            wanted = generator.integers(0, 75, 8).tolist()
            frames = read_frames(indexed.data, indexed.index, wanted)
            if not all(np.array_equal(frames[i], reference[i]) for i in wanted):
                return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(is_right, range(8)))


def test_other_codecs_are_not_indexed() -> None:
    """Only H.264 has an index; the error says so."""
    with pytest.raises(ValueError, match=r"cannot index mpeg4; accepted: H\.264"):
        index_packets(encode_video(moving_pictures(3, 64, 64), codec="mpeg4"))
