"""One video into a profile: hash it, decode it once in order, store its pictures or its bytes, verify."""

import hashlib
import io
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

import av

from rspnet_platform.ingest.decoding_time import earning_time
from rspnet_platform.ingest.indexed_profile import CODEC_SETTINGS, ENCODER, encode_indexed, index_verified
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.original_profile import count_pictures, read_original
from rspnet_platform.shards.packet_index import PacketIndex
from rspnet_platform.videos.input_facts import InputFacts
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.reproducibility import NUM_FRAMES_HELD, PictureChecksums, needs_second_decode
from rspnet_platform.videos.sequential_decoding import OpenedVideo, open_video


@dataclass(frozen=True, kw_only=True)
class TranscodedVideo:
    """A verified video. `sha256` is of the input's bytes, `encoded_sha256` of `data`: an MP4 file, or in the profile
    `original` the input itself, with an empty index. `facts` say what the input was."""

    num_frames: int
    frames_per_second: float
    height: int
    width: int
    sha256: str
    encoded_sha256: str
    data: bytes
    index: PacketIndex
    facts: InputFacts


def library_versions(config: IngestConfig) -> tuple[str, str]:
    """(decoder, encoder) as a data set records them."""
    libavcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    encoder = f"{ENCODER} in libavcodec {libavcodec}" if config.profile == "indexed" else "none"
    return f"PyAV {av.__version__}, libavcodec {libavcodec}", encoder


def codec_settings(config: IngestConfig) -> dict[str, str]:
    """How the videos of an ingest are encoded, beside their size; empty where they keep their own bytes."""
    if config.profile == "original":
        return {}
    rate = {} if config.frames_per_second is None else {"frames_per_second": str(config.frames_per_second)}
    return CODEC_SETTINGS | rate


def transcode(file: BinaryIO, config: IngestConfig) -> TranscodedVideo:
    """Raises VideoRefusedError for a video that cannot or may not become part of a data set."""
    sha256, is_original = _hash_input(file, config.limits.max_input_bytes), config.profile == "original"
    data = b""
    if is_original:
        data = read_original(file, config.limits.max_stored_bytes)
        file = io.BytesIO(data)
    checksums = PictureChecksums()
    with _open(file, config) as video:
        pictures = checksums.recorded(earning_time(video, video.frames))
        if is_original:
            num_frames, height, width = count_pictures(pictures)
        else:
            data, num_frames, height, width = encode_indexed(
                pictures, video.stated_rate, config.limits.max_stored_bytes
            )
    _check_length(min(num_frames, video.facts.num_frames), config.min_num_frames)
    if needs_second_decode(video.facts.codec):
        _decode_again(file, config, checksums)
    return TranscodedVideo(
        num_frames=num_frames,
        frames_per_second=float(video.frames_per_second),
        height=height,
        width=width,
        sha256=sha256,
        encoded_sha256=hashlib.sha256(data).hexdigest(),
        data=data,
        index=PacketIndex.empty() if is_original else index_verified(data, num_frames, height, width),
        facts=video.facts,
    )


def _open(file: BinaryIO, config: IngestConfig, num_frames_held: int = 0) -> AbstractContextManager[OpenedVideo]:
    return open_video(
        file,
        short_side=config.short_side,
        frames_per_second=config.frames_per_second,
        limits=config.limits,
        tolerance=config.tolerance,
        num_frames_held=num_frames_held,
    )


def _decode_again(file: BinaryIO, config: IngestConfig, checksums: PictureChecksums) -> None:
    file.seek(0)
    with _open(file, config, NUM_FRAMES_HELD) as video:
        checksums.compare(earning_time(video, video.frames), config.tolerance)


def _check_length(num_frames: int, min_num_frames: int) -> None:
    if num_frames < min_num_frames:
        detail = f"{num_frames} decoded frames; accepted: {min_num_frames} or more"
        raise VideoRefusedError(RefusalReason.TOO_SHORT, detail)


def _hash_input(file: BinaryIO, max_input_bytes: int) -> str:
    num_bytes = file.seek(0, io.SEEK_END)
    if num_bytes > max_input_bytes:
        raise VideoRefusedError(RefusalReason.OVER_LIMIT, f"{num_bytes} bytes; accepted: up to {max_input_bytes}")
    if not num_bytes:
        raise VideoRefusedError(RefusalReason.UNREADABLE, "the file is empty")
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    file.seek(0)
    return sha256
