"""Local folders and object stores behind one handful of functions: URIs in, bytes and JSON out."""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rspnet_platform import object_store
from rspnet_platform.atomic_files import remove_partial_files, replacing
from rspnet_platform.object_store import StorageError


def is_remote(path_or_uri: str) -> bool:
    """True for `scheme://...` other than `file://`."""
    return "://" in path_or_uri and not path_or_uri.startswith("file://")


def resolve_uri(path_or_uri: str | os.PathLike[str]) -> str:
    """An absolute local path, or the URI without its trailing slashes. `~` is expanded, symlinks are kept. ValueError
    for a URI with an empty part, or one of dots alone: clients take them out, and do not find what is there."""
    text = os.fspath(path_or_uri)
    if not text:
        raise ValueError("an empty path was given; accepted: a local path or a URI such as s3://bucket/folder")
    if is_remote(text):
        parts = text.partition("://")[2].strip("/").split("/")
        if {"", ".", ".."} & set(parts[1:]):
            raise ValueError(f"{text} has a part that is empty or of dots alone; accepted: keys without // and /./")
        return text.rstrip("/")
    return os.path.abspath(os.path.expanduser(text.removeprefix("file://")))


def join(uri: str, *parts: str) -> str:
    """`uri` with `parts` below it."""
    return "/".join([uri.rstrip("/"), *(part.strip("/") for part in parts)])


def exists(uri: str) -> bool:
    """Whether a file or a folder is there. StorageError when the store cannot tell."""
    if is_remote(uri):
        return object_store.call(uri, "look for", lambda store: store.exists(uri))
    with _naming(uri, "look for"):
        return os.path.exists(uri)


def is_folder(uri: str) -> bool:
    """Whether `uri` is a folder, or a prefix of an object store with something below it."""
    if is_remote(uri):
        return object_store.call(uri, "look for", lambda store: store.isdir(uri))
    with _naming(uri, "look for"):
        return os.path.isdir(uri)


def num_bytes(uri: str) -> int:
    """Size of a file. FileNotFoundError when nothing is there, else StorageError."""
    if is_remote(uri):
        return object_store.call(uri, "look for", lambda store: store.size(uri))
    with _naming(uri, "look for"):
        return os.path.getsize(uri)


def read_bytes(uri: str) -> bytes:
    """The whole file. FileNotFoundError when nothing is there, else StorageError."""
    if is_remote(uri):
        return object_store.call(uri, "read", lambda store: store.cat_file(uri))
    with _naming(uri, "read"):
        return Path(uri).read_bytes()


def read_range(uri: str, start: int, num_bytes: int) -> bytes:
    """`num_bytes` from `start` on in one request, fewer where the file ends before. Errors as of `read_bytes`."""
    if is_remote(uri):
        return object_store.call(uri, "read", lambda store: store.cat_file(uri, start=start, end=start + num_bytes))
    with _naming(uri, "read"), open(uri, "rb", buffering=0) as file:
        file.seek(start)
        return _read_fully(file, num_bytes)


def write_bytes(uri: str, data: bytes) -> None:
    """Writes the whole file or nothing: a reader never sees half of it, also after a power cut."""
    if is_remote(uri):  # one PUT, or parts that are put together at the end: an object shows only once it is whole
        object_store.upload(uri, len(data), lambda store, **options: store.pipe_file(uri, data, **options))
        return
    with _naming(uri, "write"), replacing(uri) as temporary:
        temporary.write(data)


def create_bytes(uri: str, data: bytes) -> bool:
    """Writes a small file where none is there. False where there is one, which stays.

    Of several at once, one alone gets True. On S3 that takes a store that knows conditional writes (`If-None-Match`),
    as Amazon's does; on others the last of those that write in the same moment may replace the others.
    """
    if is_remote(uri):
        return object_store.create(uri, data)
    with _naming(uri, "write"):
        os.makedirs(os.path.dirname(uri), exist_ok=True)
        try:
            descriptor = os.open(uri, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return False
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            os.unlink(uri)
            raise
        return True


def upload_file(local_path: str, uri: str) -> None:
    """Copies a finished local file to `uri`, whole or not at all."""
    if is_remote(uri):
        size = os.path.getsize(local_path)
        object_store.upload(uri, size, lambda store, **options: store.put_file(local_path, uri, **options))
        return
    with _naming(uri, "write"), replacing(uri) as temporary, open(local_path, "rb") as source:
        shutil.copyfileobj(source, temporary, 1 << 20)


def download_file(uri: str, local_path: str) -> None:
    """Copies `uri` to a local file. FileNotFoundError when nothing is there, else StorageError."""
    if is_remote(uri):
        object_store.call(uri, "read", lambda store: store.get_file(uri, local_path))
        return
    with _naming(uri, "read"):
        shutil.copyfile(uri, local_path)


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
    if is_remote(uri):
        try:
            paths = object_store.call(uri, "list", lambda store: store.ls(uri, detail=False))
        except FileNotFoundError:
            return []
        return sorted(name for name in (path.rstrip("/").rsplit("/", 1)[-1] for path in paths) if name)
    with _naming(uri, "list"):
        return sorted(os.listdir(uri)) if os.path.isdir(uri) else []


def delete_folder(uri: str) -> None:
    """Deletes a folder and all below it; nothing happens when it is not there."""

    def _delete_below(store: Any) -> None:
        for path in store.find(uri):
            store.rm_file(path)  # `rm` would take a name with [, * or ? for a pattern, and delete what fits

    if is_remote(uri):
        object_store.call(uri, "delete", _delete_below)
        return
    with _naming(uri, "delete"):
        if os.path.isdir(uri):
            shutil.rmtree(uri)


def delete_file(uri: str) -> None:
    """Deletes a file; nothing happens when it is not there."""
    with contextlib.suppress(FileNotFoundError):
        if is_remote(uri):
            object_store.call(uri, "delete", lambda store: store.rm_file(uri))
            return
        with _naming(uri, "delete"):
            os.unlink(uri)


def delete_partial_files(uri: str) -> None:
    """Deletes what killed writers have left of local files below a folder in which nobody writes now. An object store
    has none: an object is there once it is whole."""
    if not is_remote(uri):
        with _naming(uri, "delete"):
            remove_partial_files(uri)


def list_files_below(uri: str) -> list[str]:
    """Sorted URIs of all objects below a remote prefix, at any depth."""

    def find(store: Any) -> list[str]:
        folder = store._strip_protocol(uri)
        return sorted(join(uri, path.removeprefix(folder)) for path in store.find(uri))

    return object_store.call(uri, "list", find)


def _read_fully(file: io.FileIO, num_bytes: int) -> bytes:
    """One read returns 2 GB at the most, and fewer bytes where a signal comes in between."""
    parts = []
    while num_bytes > 0 and (part := file.read(num_bytes)):
        parts.append(part)
        num_bytes -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


@contextlib.contextmanager
def _naming(uri: str, verb: str) -> Iterator[None]:
    """Whatever goes wrong with a local file names it. Not found stays FileNotFoundError: readers tell it apart."""
    try:
        yield
    except StorageError:
        raise
    except FileNotFoundError as error:
        if verb == "write":
            raise StorageError(f"cannot write {uri}: there is no such folder") from error
        raise FileNotFoundError(f"cannot {verb} {uri}: nothing is there") from error
    except OSError as error:
        raise StorageError(f"cannot {verb} {uri}: {type(error).__name__}: {error.strerror or error}") from error
