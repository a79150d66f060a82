"""Fixtures of real services on loopback."""

import uuid
from collections.abc import Iterator

import pytest
from rspnet_platform import object_store
from s3fs import S3FileSystem

from tests.services.swift_store import PYTHON, SwiftStore


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftStore]:
    """For tests that leave it running."""
    if not PYTHON.exists():
        pytest.skip("no services: `make install` makes .venv-services")
    store = SwiftStore(tmp_path_factory.mktemp("swift") / "store")
    try:
        store.start()
        yield store
    finally:
        store.kill()


@pytest.fixture
def store(tmp_path) -> Iterator[SwiftStore]:
    """For tests that kill it."""
    if not PYTHON.exists():
        pytest.skip("no services: `make install` makes .venv-services")
    store = SwiftStore(tmp_path / "store")
    try:
        store.start()
        yield store
    finally:
        store.kill()


@pytest.fixture
def as_owner(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Makes this process a client of a store, as its owner or as another user: `as_owner(store)`."""

    def become(store: SwiftStore, **user) -> None:
        for name, value in store.environment(**user).items():
            monkeypatch.setenv(name, value)
        forget_clients()

    yield become
    forget_clients()


def forget_clients() -> None:
    """They keep the credentials that they began with."""
    object_store._clients.clear()
    S3FileSystem.clear_instance_cache()


@pytest.fixture
def bucket(shared_store: SwiftStore, as_owner) -> str:
    """A bucket of the shared store, `s3://...`."""
    as_owner(shared_store)
    return make_bucket()


def make_bucket() -> str:
    uri = f"s3://bucket-{uuid.uuid4().hex[:12]}"
    object_store.call(uri, "make", lambda client: client.mkdir(uri))
    return uri
