"""Real odd and bad files, one by one: taken with so many frames, each the right one, or refused for this reason."""

import io
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import transcode
from rspnet_platform.videos.limits import DamageTolerance
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import decode_all, decode_scaled, luma_psnr

TAKEN_ODD = {
    "decord__unordered.mov": 4,
    "hiera__dog.mp4": 150,
    "hiera__goat.mp4": 150,
    "moviepy__no_duration.webm": 74,
    "mp4ff__bbb_prog_10s.mp4": 238,
    "mp4ff__cbcsdec.mp4": 182,
    "mp4ff__ed_hevc.mp4": 27,
    "mp4ff__h264.mp4": 50,
    "mp4ff__prog_8s.mp4": 240,
    "mp4ff__prog_8s_dec_dashinit.mp4": 240,
    "mp4ff__stereo_spatial.mp4": 10,
    "mp4ff__v300_multiple_segments.mp4": 240,
    "mp4ff__vvc_400kbps_2s.mp4": 50,
    "mp4parse-rust__video_colr_nclx_and_icc.mp4": 3,
    "mp4parse-rust__video_colr_nclx_hdr10.mp4": 3,
    "mp4parse-rust__video_colr_nclx_hlg.mp4": 3,
    "mp4parse-rust__video_colr_nclx_hlg_full_range.mp4": 3,
    "mp4parser__BBB_fixedres_B_180x320_100.mp4": 161,
    "mp4parser__BBB_fixedres_B_180x320_150.mp4": 242,
    "mp4parser__BBB_fixedres_B_180x320_200.mp4": 242,
    "mp4parser__BBB_fixedres_B_180x320_80.mp4": 80,
    "mp4parser__MOV00006.3gp": 222,
    "mp4parser__Tiny_Sample_-_NEW_-_Untouched.mp4": 333,
    "mp4parser__Tiny_Sample_-_OLD.mp4": 333,
    "mp4parser__count-video.mp4": 245,
    "sample-videos__bird.mkv": 63,
    "sample-videos__book.mkv": 109,
    "sample-videos__brother.mkv": 65,
    "sample-videos__learn.mkv": 61,
    "sample-videos__no.mkv": 66,
    "sample-videos__please.mkv": 73,
    "sample-videos__school.mkv": 72,
    "sample-videos__sorry.mkv": 73,
    "sample-videos__thanks.mkv": 51,
    "sample-videos__yes.mkv": 65,
    "torchcodec__h265_video.mp4": 10,
}
REFUSED_ODD = {
    RefusalReason.DECODE_ERROR: (
        "decord__corrupted.mp4",
        "mp4ff__2_init.mp4",
        "mp4ff__golden_init_video.mp4",
        "mp4ff__hvc1_init.mp4",
        "mp4ff__init_with_colr.mp4",
        "mp4parse-rust__bipbop_480wp_1001kbps-cenc-video-key1-init.mp4",
        "mp4parse-rust__invalid_userdata.mp4",
        "small__WindowsMediaVideo.wmv",
        "small__gif.gif",
    ),
    RefusalReason.ENCRYPTED: (
        "mp4ff__cbcs.mp4",
        "mp4ff__prog_8s_enc_dashinit.mp4",
        "mp4parse-rust__short-cenc.mp4",
    ),
    RefusalReason.NO_VIDEO_STREAM: (
        "mp4ff__1_init.mp4",
        "mp4ff__cbcs_audio.mp4",
        "mp4ff__init_truncated.mp4",
        "mp4ff__opus.mp4",
        "mp4ff__stpp_combined.mp4",
        "mp4parse-rust__amr_nb_1f.3gp",
        "mp4parse-rust__amr_wb_1f.3gp",
        "mp4parse-rust__bipbop_cbcs_audio_init.mp4",
        "mp4parse-rust__opus_audioinit.mp4",
        "mp4parse-rust__opus_audioinit_two_desc.mp4",
        "mp4parse-rust__sine-3s-xhe-aac-44khz-mono.mp4",
        "mp4parser__ac3-sample.mp4",
        "mp4parser__count-deutsch-audio.mp4",
        "small__Mpeg4.mp4",
        "small__mp4-with-audio.mp4",
    ),
    RefusalReason.TOO_SHORT: (
        "mp4parse-rust__bbb_sunflower_QCIF_30fps_h263_noaudio_1f.3gp",
        "mp4parse-rust__bbb_sunflower_QCIF_30fps_mp4v_noaudio_1f.mp4",
        "mp4parse-rust__hevc_white_frame.mp4",
        "mp4parse-rust__minimal.mp4",
        "mp4parse-rust__tiny_av1.mp4",
        "mp4parse-rust__video_rotation_90.mp4",
    ),
    RefusalReason.UNREADABLE: (
        "moviepy__result.webm",
        "mp4ff__2xSencNoMdat.mp4",
        "mp4ff__multi_vttc.mp4",
        "mp4ff__seg_cenc_no_seig.m4v",
    ),
}
TAKEN_BAD = {
    "-leading-dash.avi": 40,
    "avi_wrong_ext.mp4": 40,
    "ffv1_gray.mkv": 30,
    "fps1.mp4": 10,
    "mp4_wrong_ext.avi": 53,
    "name with spaces & ünïcode #1 (x).mp4": 53,
    "two_frames.avi": 2,
}
REFUSED_BAD = {
    RefusalReason.DAMAGED: ("avi_truncated_90.avi", "mp4_bitflips_mdat_200.mp4"),
    RefusalReason.DECODE_ERROR: ("mp4_bitflips_moov_60.mp4",),
    RefusalReason.INCOMPLETE: ("avi_truncated_10.avi",),
    RefusalReason.NO_VIDEO_STREAM: ("audio_only.mp4",),
    RefusalReason.TOO_SHORT: ("one_frame.mp4",),
    RefusalReason.UNREADABLE: (
        "avi_header_only.avi",
        "mp4_no_moov.mp4",
        "mp4_truncated_10.mp4",
        "mp4_truncated_90.mp4",
        "random_bytes.mp4",
        "text_renamed.mp4",
        "zero_bytes.avi",
    ),
}
TAKEN = [("odd_videos", *item) for item in TAKEN_ODD.items()] + [("bad_videos", *item) for item in TAKEN_BAD.items()]
REFUSED = [
    (folder, name, reason)
    for folder, by_reason in (("odd_videos", REFUSED_ODD), ("bad_videos", REFUSED_BAD))
    for reason, names in by_reason.items()
    for name in names
]


def config_of(**changes) -> IngestConfig:
    return IngestConfig(source="-", output="-", short_side=64, **changes)


def test_no_file_is_left_out(shared_data: Path) -> None:
    """The tables above hold each file of both collections once."""
    listed = sorted([(folder, name) for folder, name, _ in TAKEN] + [(folder, name) for folder, name, _ in REFUSED])
    found = [
        (folder, path.name)
        for folder in ("bad_videos", "odd_videos")
        for path in (shared_data / folder).iterdir()
        if path.suffix != ".csv"
    ]
    assert listed == sorted(found)


@pytest.mark.parametrize(("folder", "name", "reason"), REFUSED)
@pytest.mark.parametrize("profile", ["indexed", "original"])
def test_refused_files(shared_data: Path, folder: str, name: str, reason: RefusalReason, profile: str) -> None:
    """The reason is the same whatever would have been stored."""
    with (shared_data / folder / name).open("rb") as file, pytest.raises(VideoRefusedError) as caught:
        transcode(file, config_of(profile=profile))
    assert caught.value.reason == reason


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "name", "num_frames"), TAKEN)
def test_taken_files(shared_data: Path, folder: str, name: str, num_frames: int) -> None:
    """What is stored decodes to the frames of a slow sequential decode of the file, each of them in its place."""
    data = (shared_data / folder / name).read_bytes()
    indexed = transcode(io.BytesIO(data), config_of())
    original = transcode(io.BytesIO(data), config_of(profile="original"))
    reference = decode_scaled(data, indexed.height, indexed.width)
    stored = decode_all(indexed.data)
    assert len(reference) == len(stored) == num_frames
    for video in (indexed, original):
        assert (video.num_frames, video.facts.num_frames) == (num_frames, num_frames)
    assert all(luma_psnr(*pair) > 30 for pair in zip(stored, reference, strict=True))
    assert original.data == data
    assert (original.height, original.width) == (indexed.height, indexed.width)
    with open_video(original.data, short_side=64) as opened:
        assert all(np.array_equal(*pair) for pair in zip(opened.frames, reference, strict=True))


def test_a_damaged_file_is_taken_where_damage_is_tolerated(shared_data: Path) -> None:
    """37 frames of a cut AVI, the last of which is damaged, are what a sequential decode gives."""
    data = (shared_data / "bad_videos" / "avi_truncated_90.avi").read_bytes()
    video = transcode(io.BytesIO(data), config_of(tolerance=DamageTolerance(max_damaged_fraction=0.05)))
    assert video.num_frames == len(decode_scaled(data, video.height, video.width)) == 37
