"""A run's folder as Ray Train sees it: on an object store, a pyarrow file system with our own client's time-outs,
retries and errors. Ray's own gives up within seconds, and a run with it."""

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

from rspnet_platform import object_store, storage
from rspnet_platform.temporary_folder import temporary_folder

T = TypeVar("T")


def run_filesystem(run_uri: str) -> tuple[FileSystem | None, str]:
    """The file system for Ray (None for its own: a local folder), and the path on it."""
    if not storage.is_remote(run_uri):
        return None, run_uri
    scheme, path = run_uri.split("://", 1)
    return PyFileSystem(FSSpecHandler(PatientStore(scheme))), path


@dataclass(frozen=True)
class PatientStore:
    """Stands where pyarrow expects an fsspec file system, for as much as Ray uses of one. Travels to workers."""

    protocol: str

    def info(self, path: str) -> dict[str, Any]:
        return self._call("look for", path, lambda store: store.info(path))

    def exists(self, path: str) -> bool:
        return self._call("look for", path, lambda store: store.exists(path))

    def isdir(self, path: str) -> bool:
        return self._call("look for", path, lambda store: store.isdir(path))

    def isfile(self, path: str) -> bool:
        return self._call("look for", path, lambda store: store.isfile(path))

    def find(self, path: str, **options: Any) -> dict[str, Any]:
        return self._call("list", path, lambda store: store.find(path, **options))

    def mkdir(self, path: str, **_: Any) -> None:
        """Stores have no folders; what is written below makes one."""

    def rm(self, path: str, recursive: bool = False) -> None:
        """Of checkpoints that are not kept. Where the store does not do it one line says so, and the run goes on: Ray
        would go on too, with a traceback."""
        delete = storage.delete_folder if recursive else storage.delete_file
        try:
            delete(self._uri(path))
        except storage.StorageError as error:
            logging.getLogger(__name__).warning("%s; it is left there", error)

    def open(self, path: str, mode: str) -> Any:
        """A whole file, by way of a temporary one: so each half of it can be tried again."""
        uri = self._uri(path)
        temporary: Any = tempfile.NamedTemporaryFile(dir=temporary_folder())  # noqa: SIM115 (closed by its user)
        if mode == "wb":
            return _Upload(temporary, uri)
        assert mode == "rb"
        storage.download_file(uri, temporary.name)
        return temporary

    def _call(self, verb: str, path: str, operation: Callable[[Any], T]) -> T:
        return object_store.call(self._uri(path), verb, operation)

    def _uri(self, path: str) -> str:
        return f"{self.protocol}://{path.strip('/')}"


class _Upload:
    """Sent once it is closed."""

    def __init__(self, temporary: Any, uri: str) -> None:
        self._temporary: BinaryIO = temporary
        self._uri = uri

    @property
    def closed(self) -> bool:
        return self._temporary.closed

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._temporary.tell()

    def write(self, data: bytes) -> int:
        return self._temporary.write(data)

    def flush(self) -> None:
        self._temporary.flush()

    def close(self) -> None:
        if not self.closed:
            try:
                self.flush()
                storage.upload_file(self._temporary.name, self._uri)
            finally:
                self._temporary.close()
