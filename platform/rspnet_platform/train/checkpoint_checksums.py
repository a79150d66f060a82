"""SHA-256 of each file of a checkpoint, in the checkpoint: what a disk or a store has changed is not trained on."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.storage import StorageError
from rspnet_platform.tracking.redaction import redact

CHECKSUMS = "checksums.json"


class DamagedCheckpointError(StorageError):
    """A file of a checkpoint is not what was written. No other attempt to read it would help."""


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_checksums(folder: Path) -> None:
    """Of all files that are in the folder, which must be whole."""
    checksums = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    (folder / CHECKSUMS).write_text(json.dumps(checksums, indent=2) + "\n")


def check_file(path: Path, name: str, checksums: Mapping[str, str], place: str) -> None:
    """`path` is the checkpoint's file `name`, or a copy of it; `place` is the checkpoint. Says so where it is one of an
    older version, which recorded nothing. Raises DamagedCheckpointError, and FileNotFoundError for a file that is
    gone."""
    if checksums:
        check_digest(file_sha256(path), name, checksums, place)
    else:
        say(f"the checkpoint {redact(place)} has no recorded SHA-256: its {name} is loaded unchecked")


def check_digest(found: str, name: str, checksums: Mapping[str, str], place: str) -> None:
    if (recorded := checksums.get(name, found)) != found:
        raise DamagedCheckpointError(
            f"{name} of the checkpoint {redact(place)} has SHA-256 {found}, and {recorded} was recorded when it was"
            " saved: it was changed or damaged since. Accepted are the files as they were saved, or another checkpoint"
        )


def checksums_in(folder_uri: str) -> dict[str, str]:
    """Those that a checkpoint's folder records; none for one of an older version."""
    try:
        return storage.read_json(storage.join(folder_uri, CHECKSUMS))
    except FileNotFoundError:
        return {}
