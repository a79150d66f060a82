"""The profile `original`: the input's own bytes, counted and measured by a sequential decode."""

import hashlib
import io
from pathlib import Path
from typing import Literal

import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.shards.dataset import open_dataset, read_table
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.shards.row_groups import read_videos
from rspnet_platform.videos.limits import VideoLimits
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import encode_video, moving_pictures

CONFIG = IngestConfig(source="-", output="-", short_side=32, profile="original")


def test_bytes_stay_and_geometry_is_that_of_the_indexed_profile() -> None:
    """Height and width are upright and scaled, so that clip plans and crops are the same in both profiles."""
    data = encode_video(moving_pictures(20, 62, 101), codec="libvpx", container="webm", rate=30)
    turned = encode_video(moving_pictures(20, 62, 102), prepare=lambda stream: stream.set_display_rotation(90))
    for video in (data, turned):
        original = transcode(io.BytesIO(video), CONFIG)
        indexed = transcode(io.BytesIO(video), IngestConfig(source="-", output="-", short_side=32))
        assert original.data == video
        assert original.encoded_sha256 == original.sha256 == indexed.sha256 == hashlib.sha256(video).hexdigest()
        for name in ("num_frames", "frames_per_second", "height", "width", "facts"):
            assert getattr(original, name) == getattr(indexed, name)
        assert original.index.num_frames == 0
        assert all(len(value) == 0 for value in original.index.to_row().values())


def test_an_empty_index_survives_a_row() -> None:
    """`from_row` is the inverse of `to_row`, with the types of a full index."""
    empty = PacketIndex.empty()
    restored = PacketIndex.from_row(empty.to_row())
    assert [value.dtype for value in vars(restored).values() if not isinstance(value, bytes)] == [
        "int64", "int32", "int32", "bool", "bool",
    ]  # fmt: skip
    assert restored.extradata == b""


@pytest.mark.parametrize("profile", ["indexed", "original"])
def test_one_video_may_not_fill_a_worker(profile: Literal["indexed", "original"]) -> None:
    """What would be stored of one video is limited in bytes, whatever the profile."""
    data = encode_video(moving_pictures(20, 96, 128))
    limits = VideoLimits(max_stored_bytes=5_000)
    config = IngestConfig(source="-", output="-", short_side=96, profile=profile, limits=limits)
    with pytest.raises(VideoRefusedError, match="more than 5000 bytes to store") as caught:
        transcode(io.BytesIO(data), config)
    assert caught.value.reason == RefusalReason.OVER_LIMIT
    with pytest.raises(ValueError, match="max_stored_bytes is 2147483648; accepted: up to 2147483647"):
        VideoLimits(max_stored_bytes=2**31)


def test_a_data_set_of_original_files(video_folder: Path, tmp_path: Path) -> None:
    """The rows hold the files' own bytes, the description says so, and a broken file is refused with its reason."""
    whole = (video_folder / "up" / "up_2.mp4").read_bytes()
    (video_folder / "up" / "broken.mp4").write_bytes(whole[:2000])
    output = str(tmp_path / "out")
    config = IngestConfig(
        source=str(video_folder), output=output, short_side=32, profile="original", max_refused_fraction=0.5
    )
    result = ingest(config)
    assert (result.num_videos, result.refused_by_reason) == (6, {"unreadable": 1})
    dataset = open_dataset(output)
    description = dataset.description
    assert (description.profile, description.short_side) == ("original", 32)
    assert (description.encoder, dict(description.codec_settings)) == ("none", {})
    for row in dataset.videos.to_pylist():
        (video,) = read_videos(output, row["shard"], row["row_group"], [row["row"]])
        stored = bytes(video.data)
        assert stored == (video_folder / row["video_id"]).read_bytes()
        assert row["encoded_sha256"] == row["sha256"] == hashlib.sha256(stored).hexdigest()
        with open_video(stored, short_side=description.short_side) as opened:
            shapes = [picture.shape for picture in opened.frames]
        assert shapes == [(video.info.height * 3 // 2, video.info.width)] * video.info.num_frames
    assert len(read_table(f"{output}/refusals.parquet")) == 1


def test_settings_that_only_encoding_has_are_refused() -> None:
    """A frame rate cannot be asked of files that stay as they are; profiles are named where an unknown one is asked."""
    with pytest.raises(ValueError, match=r"frames_per_second is 25\.0 and profile 'original'"):
        IngestConfig(source="-", output="-", profile="original", frames_per_second=25.0)
    with pytest.raises(ValueError, match="profile is 'raw'; accepted: 'indexed', 'original'"):
        IngestConfig(source="-", output="-", profile="raw")  # pyright: ignore[reportArgumentType]
