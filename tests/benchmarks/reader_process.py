"""A process of its own for readers that share a library: one that crashes takes nothing else with it."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import cv2

from tests.benchmarks.corpora import Corpus
from tests.benchmarks.measurements import cpu_seconds
from tests.benchmarks.readers import Pictures, Reader, load_readers
from tests.benchmarks.requests import Request


class ReaderError(Exception):
    """A reader failed at a request, or its process died; the message says what it said."""


class ReaderProcess:
    """`names` are the readers of `group` that could be loaded; `missing` says why none could."""

    def __init__(self, group: str, corpus: Corpus) -> None:
        self.group, self._corpus = group, corpus
        self.missing = ""
        self.names: list[str] = []
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self.group, self._corpus), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.names = self._receive()
        except ReaderError as error:
            self.missing = str(error)

    def pictures(self, name: str, request: Request) -> Pictures | None:
        """What `name` returns for one request, checked to be complete. ReaderError when it is not."""
        return self._call("pictures", name, [request])

    def cpu_seconds(self, name: str, requests: Sequence[Request]) -> float:
        """CPU time for all requests, after one that is not timed."""
        return self._call("cpu_seconds", name, requests)

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self._connection.close()

    def _call(self, *message: Any) -> Any:
        try:
            self._connection.send(message)
            return self._receive()
        except (EOFError, OSError) as error:
            self._process.join()
            exit_code = self._process.exitcode
            self._start()
            raise ReaderError(f"its process died with exit code {exit_code}") from error

    def _receive(self) -> Any:
        value = self._connection.recv()
        if isinstance(value, ReaderError):
            raise value
        return value


def serve(connection: Connection, group: str, corpus: Corpus) -> None:
    """Answers until the other side closes."""
    cv2.setNumThreads(1)
    try:
        readers = load_readers(group, corpus)
    except Exception as error:
        connection.send(ReaderError(f"{type(error).__name__}: {error}"))
        return
    connection.send(list(readers))
    while True:
        try:
            verb, name, requests = connection.recv()
        except EOFError:
            return
        try:
            answer = {"pictures": pictures, "cpu_seconds": time_requests}[verb](readers[name], requests)
        except Exception as error:
            answer = ReaderError(f"{type(error).__name__}: {error}")
        connection.send(answer)


def pictures(reader: Reader, requests: Sequence[Request]) -> Pictures | None:
    [request] = requests
    [result] = reader.read(reader.prepare(requests))
    return reader.pictures(request, result)


def time_requests(reader: Reader, requests: Sequence[Request]) -> float:
    warm_up, prepared = reader.prepare(requests[-1:]), reader.prepare(requests)
    for _ in reader.read(warm_up):
        pass
    before = cpu_seconds()
    for result in reader.read(prepared):
        del result  # a worker lets go of a sample before the next
    return cpu_seconds() - before
