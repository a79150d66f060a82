"""What a child process does with one video: open it, transcode it, or say why not."""

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from typing import BinaryIO

from rspnet_platform import storage
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.isolated_child import IsolationFailure
from rspnet_platform.ingest.outcomes import AlreadyPresent
from rspnet_platform.ingest.refusals import Refusal
from rspnet_platform.ingest.sources import VideoSource
from rspnet_platform.ingest.transcoding import TranscodedVideo, transcode
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError

_MAX_BYTES_IN_MEMORY = 64 * 1024 * 1024
_CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class PresentVideo:
    """What the version that is added to has under an id."""

    sha256: str
    label: str | None
    split: str | None
    source: str | None


@dataclass(frozen=True, kw_only=True)
class TranscodingTask:
    """Travels to the child process. `present` has the same id as `video`."""

    video: VideoSource
    config: IngestConfig
    present: PresentVideo | None = None


def run_task(task: TranscodingTask) -> TranscodedVideo | Refusal | AlreadyPresent:
    """StorageError when an object store fails: that says nothing about the video."""
    try:
        with _open_input(task.video.path, task.config.limits.max_input_bytes) as file:
            if task.present is not None:
                return _compare(task.video, task.present, file)
            return transcode(file, task.config)
    except VideoRefusedError as error:
        return Refusal(path=task.video.video_id, reason=error.reason, detail=error.detail)


def refusal_of(task: TranscodingTask, failure: IsolationFailure) -> Refusal:
    """Of a video that its child process did not return from."""
    return Refusal(path=task.video.video_id, reason=failure.reason, detail=failure.detail)


def _compare(video: VideoSource, present: PresentVideo, file: BinaryIO) -> AlreadyPresent:
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    if sha256 != present.sha256:
        detail = f"the data set has other bytes under this id: sha256 {present.sha256[:12]}, this file {sha256[:12]}"
        raise VideoRefusedError(RefusalReason.ID_TAKEN, detail)
    for name in ("label", "split", "source"):
        here, there = getattr(video, name), getattr(present, name)
        if here is not None and here != there:
            detail = f"the data set has the same bytes under this id, with {name} {there!r} instead of {here!r}"
            raise VideoRefusedError(RefusalReason.ID_TAKEN, detail)
    return AlreadyPresent()


def _open_input(path: str, max_input_bytes: int) -> BinaryIO:
    try:
        return _open_remote(path, max_input_bytes) if storage.is_remote(path) else _open_local(path)
    except FileNotFoundError as error:
        raise VideoRefusedError(RefusalReason.NOT_FOUND, f"{path} does not exist") from error
    except storage.StorageError as error:
        if isinstance(error.__cause__, PermissionError):
            raise VideoRefusedError(RefusalReason.UNREADABLE, str(error)) from error
        raise
    except OSError as error:
        raise VideoRefusedError(RefusalReason.UNREADABLE, f"{path}: {error.strerror}") from error


def _open_local(path: str) -> BinaryIO:
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for a writer
        raise VideoRefusedError(RefusalReason.UNREADABLE, f"{path} is not a regular file")
    return open(path, "rb")


def _open_remote(path: str, max_input_bytes: int) -> BinaryIO:
    """A local copy: the bytes are read twice, to hash and to decode, and decoders jump about."""
    copy = tempfile.SpooledTemporaryFile(_MAX_BYTES_IN_MEMORY)  # noqa: SIM115 (the caller closes it)
    num_bytes = min(storage.num_bytes(path), max_input_bytes + 1)
    for start in range(0, num_bytes, _CHUNK_BYTES):
        copy.write(storage.read_range(path, start, min(_CHUNK_BYTES, num_bytes - start)))
    copy.seek(0)
    return copy  # pyright: ignore[reportReturnType]
