"""Local folders and object stores behind one handful of functions: URIs in, bytes and JSON out."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import fsspec


class StorageError(OSError):
    """Storage did not do what was asked of it; the message names the URI."""


def is_remote(path_or_uri: str) -> bool:
    """True for `scheme://...` other than `file://`."""
    return "://" in path_or_uri and not path_or_uri.startswith("file://")


def resolve_uri(path_or_uri: str | os.PathLike[str]) -> str:
    """An absolute local path, or the URI without its trailing slashes. `~` is expanded, symlinks are kept."""
    text = os.fspath(path_or_uri)
    if not text:
        raise ValueError("an empty path was given; accepted: a local path or a URI such as s3://bucket/folder")
    if is_remote(text):
        return text.rstrip("/")
    return os.path.abspath(os.path.expanduser(text.removeprefix("file://")))


def join(uri: str, *parts: str) -> str:
    """`uri` with `parts` below it."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def exists(uri: str) -> bool:
    """Whether a file or a folder is there. StorageError when the store cannot tell."""
    with _naming(uri, "look for"):
        if not is_remote(uri):
            return os.path.exists(uri)
        return _filesystem(uri).exists(uri)


def is_folder(uri: str) -> bool:
    """Whether `uri` is a folder, or a prefix of an object store with something below it."""
    with _naming(uri, "look for"):
        if not is_remote(uri):
            return os.path.isdir(uri)
        return _filesystem(uri).isdir(uri)


def open_binary(uri: str) -> BinaryIO:
    """A seekable binary file to read. FileNotFoundError when nothing is there, else StorageError."""
    with _naming(uri, "open"):
        if not is_remote(uri):
            return open(uri, "rb")
        return _filesystem(uri).open(uri, "rb")


def read_bytes(uri: str) -> bytes:
    """The whole file. StorageError when it cannot be read."""
    with _naming(uri, "read"):
        if not is_remote(uri):
            return Path(uri).read_bytes()
        return _filesystem(uri).cat_file(uri)


def write_bytes(uri: str, data: bytes) -> None:
    """Writes the whole file or nothing: a reader never sees half of it, also after a power cut."""
    with _naming(uri, "write"):
        if is_remote(uri):
            _filesystem(uri).pipe_file(uri, data)  # one PUT: object stores show an object only once it is whole
            return
        with _replacing(uri) as temporary:
            temporary.write(data)


def upload_file(local_path: str, uri: str) -> None:
    """Copies a finished local file to `uri`, whole or not at all."""
    with _naming(uri, "write"):
        if is_remote(uri):
            _filesystem(uri).put_file(local_path, uri)
            return
        with _replacing(uri) as temporary, open(local_path, "rb") as source:
            shutil.copyfileobj(source, temporary, 1 << 20)


def read_json(uri: str) -> Any:
    """The parsed file. StorageError when it cannot be read or is not JSON."""
    data = read_bytes(uri)
    try:
        return json.loads(data)
    except ValueError as error:
        raise StorageError(f"{uri} is not valid JSON: {error}") from error


def write_json(uri: str, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all."""
    write_bytes(uri, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def list_names(uri: str) -> list[str]:
    """Sorted names right below a folder; [] when there is no such folder."""
    with _naming(uri, "list"):
        if not is_remote(uri):
            return sorted(os.listdir(uri)) if os.path.isdir(uri) else []
        filesystem = _filesystem(uri)
        filesystem.invalidate_cache(uri)
        try:
            paths = filesystem.ls(uri, detail=False)
        except FileNotFoundError:
            return []
        return sorted(name for name in (path.rstrip("/").rsplit("/", 1)[-1] for path in paths) if name)


def delete_folder(uri: str) -> None:
    """Deletes a folder and all below it; nothing happens when it is not there."""
    with _naming(uri, "delete"):
        if is_remote(uri):
            if _filesystem(uri).exists(uri):
                _filesystem(uri).rm(uri, recursive=True)
        elif os.path.isdir(uri):
            shutil.rmtree(uri)


def list_files_below(uri: str) -> list[str]:
    """Sorted URIs of all objects below a remote prefix, at any depth."""
    with _naming(uri, "list"):
        filesystem = _filesystem(uri)
        filesystem.invalidate_cache(uri)
        folder = filesystem._strip_protocol(uri)
        return sorted(join(uri, path.removeprefix(folder)) for path in filesystem.find(uri))


def _filesystem(uri: str) -> Any:
    scheme = uri.split("://", 1)[0]
    try:
        return fsspec.filesystem(scheme)
    except (ValueError, ImportError) as error:
        raise StorageError(f"{uri}: cannot use {scheme}:// ({error}); accepted: a local path, s3://") from error


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[BinaryIO]:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary_path = tempfile.mkstemp(prefix=".", suffix=".partial", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as temporary:
            yield temporary
            temporary.flush()
            os.fsync(temporary.fileno())
        os.chmod(temporary_path, 0o666 & ~_current_umask())
        os.replace(temporary_path, path)
    except BaseException:
        os.unlink(temporary_path)
        raise
    _sync_folder(folder)


def _current_umask() -> int:
    """mkstemp makes files that only their owner may read; a data set is as readable as any other file."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: str) -> None:
    """A rename outlives a power cut only once its folder is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(uri: str, verb: str) -> Iterator[None]:
    """Whatever goes wrong inside names the URI. Not found stays FileNotFoundError: readers tell it apart."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        if verb == "write":
            raise StorageError(f"cannot write {uri}: there is no such bucket or folder") from error
        raise FileNotFoundError(f"cannot {verb} {uri}: nothing is there") from error
    except Exception as error:  # each store's client raises exceptions of its own
        raise StorageError(f"cannot {verb} {uri}: {type(error).__name__}: {error}") from error
