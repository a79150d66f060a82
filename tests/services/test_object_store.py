"""Storage on a real S3: what it keeps, what it says, and how long it waits for a store that is away."""

import multiprocessing
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rspnet_platform import object_store, storage

from tests.services.conftest import make_bucket
from tests.services.swift_store import STRANGER, SwiftStore


def test_what_is_written_is_read(bucket: str, tmp_path: Path) -> None:
    """Bytes, JSON and files come back as they were, whole and by range; sizes and listings tell of them."""
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)
    storage.upload_file(str(tmp_path / "file"), f"{bucket}/folder/uploaded")
    storage.write_bytes(f"{bucket}/folder/deep/er/written", data)
    storage.write_json(f"{bucket}/folder/value.json", {"a": [1, "ü"]})
    assert storage.read_bytes(f"{bucket}/folder/uploaded") == data
    assert storage.read_range(f"{bucket}/folder/deep/er/written", 1_000_000, 500_000) == data[1_000_000:1_500_000]
    assert storage.read_range(f"{bucket}/folder/uploaded", 2_999_990, 100) == data[-10:]
    assert storage.read_json(f"{bucket}/folder/value.json") == {"a": [1, "ü"]}
    assert storage.num_bytes(f"{bucket}/folder/uploaded") == len(data)
    storage.download_file(f"{bucket}/folder/uploaded", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == data
    assert storage.list_names(f"{bucket}/folder") == ["deep", "uploaded", "value.json"]
    assert storage.list_files_below(f"{bucket}/folder") == [
        f"{bucket}/folder/{name}" for name in ("deep/er/written", "uploaded", "value.json")
    ]


def test_folders_of_a_store(bucket: str) -> None:
    """A prefix is a folder while something lies below it; deleting it deletes all below, and nothing beside it."""
    storage.write_bytes(f"{bucket}/a/b/c", b"1")
    storage.write_bytes(f"{bucket}/ab", b"2")
    assert storage.is_folder(f"{bucket}/a")
    assert storage.is_folder(bucket)
    assert not storage.is_folder(f"{bucket}/ab")
    assert not storage.exists(f"{bucket}/nothing")
    assert storage.list_names(f"{bucket}/nothing") == []
    storage.delete_folder(f"{bucket}/a")
    storage.delete_folder(f"{bucket}/nothing")
    assert storage.list_names(bucket) == ["ab"]


@pytest.mark.parametrize("name", ["set[12]", "set*", "set?", "a b", "per%2Fcent", "hash#1"])
def test_a_name_is_no_pattern(bucket: str, tmp_path: Path, name: str) -> None:
    """Everything is done to the very folder of that name, and to nothing that it would fit as a pattern or a URL."""
    others = [f"{bucket}/{other}/in/file" for other in ("set1", "set2", "a%20b", "per", "hash")]
    for other in others:
        storage.write_bytes(other, b"other")
    folder = f"{bucket}/{name}"
    assert not storage.exists(folder)
    (tmp_path / "file").write_bytes(b"own")
    storage.upload_file(str(tmp_path / "file"), f"{folder}/in/file")
    storage.write_bytes(f"{folder}/written", b"own")
    storage.download_file(f"{folder}/in/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == storage.read_bytes(f"{folder}/written") == b"own"
    assert storage.num_bytes(f"{folder}/written") == 3
    assert storage.list_names(folder) == ["in", "written"]
    assert storage.list_files_below(folder) == [f"{folder}/in/file", f"{folder}/written"]
    storage.delete_file(f"{folder}/written")
    assert storage.list_names(folder) == ["in"]
    storage.delete_folder(folder)
    assert not storage.is_folder(folder)
    assert [storage.read_bytes(other) for other in others] == [b"other"] * len(others)


def test_what_others_write_is_seen(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No listing is remembered: another process writes, and this one sees it. A fork opens a client of its own and
    leaves its parent's alone: not one request has to be tried again."""
    monkeypatch.setattr(object_store, "MAX_RETRYING_SECONDS", 0)
    assert storage.list_names(bucket) == []
    child = multiprocessing.get_context("fork").Process(target=storage.write_bytes, args=(f"{bucket}/by_child", b"1"))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert storage.list_names(bucket) == ["by_child"]
    assert storage.exists(f"{bucket}/by_child")


def test_writing_again_replaces(bucket: str) -> None:
    """An upload that is tried again ends as one object with the last content."""
    for content in (b"first, longer", b"second"):
        storage.write_bytes(f"{bucket}/same", content)
    assert storage.read_bytes(f"{bucket}/same") == b"second"
    assert storage.list_names(bucket) == ["same"]


def test_what_is_not_there(bucket: str) -> None:
    """A missing object is FileNotFoundError with its URI, a missing bucket an error of writing: at once, both."""
    for read in (storage.read_bytes, storage.num_bytes):
        with pytest.raises(FileNotFoundError, match=f"{bucket}/nothing: nothing is there"):
            read(f"{bucket}/nothing")
    with pytest.raises(storage.StorageError, match=r"cannot write s3://no-such-bucket-1/x: there is no such bucket"):
        storage.write_bytes("s3://no-such-bucket-1/x", b"")


@pytest.mark.parametrize("user", [("test:owner", "wrong"), ("test:nobody", "x"), STRANGER])
def test_who_may_not_is_told_at_once(bucket: str, shared_store: SwiftStore, as_owner, user, monkeypatch) -> None:
    """A wrong secret, an unknown key and a user without grants are one error each, which trying again does not help."""
    as_owner(shared_store, user=user)
    monkeypatch.setattr(object_store, "MAX_RETRYING_SECONDS", 3)
    for ask in (storage.exists, storage.list_names, storage.read_bytes, lambda uri: storage.write_bytes(uri, b"")):
        with pytest.raises(
            storage.StorageError, match=rf"cannot \w+( for)? {bucket}/x: .*accepted are credentials that allow it"
        ) as raised:
            ask(f"{bucket}/x")
        assert "tried" not in str(raised.value)
        assert user[1] not in str(raised.value).split(": ", 1)[1] or user[1] == "x"


def test_no_credentials(bucket: str, as_owner, shared_store: SwiftStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said as such, at once."""
    as_owner(shared_store)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(object_store, "MAX_RETRYING_SECONDS", 3)
    with pytest.raises(storage.StorageError, match=f"{bucket}/x: NoCredentialsError.*accepted are creden") as raised:
        storage.exists(f"{bucket}/x")
    assert "tried" not in str(raised.value)


@pytest.mark.slow
def test_a_store_that_comes_back(store: SwiftStore, as_owner) -> None:
    """Killed and started again, it costs whoever reads, lists or writes in the meantime nothing but time."""
    as_owner(store)
    bucket = make_bucket()
    storage.write_bytes(f"{bucket}/a", b"kept")
    for ask, expected in (
        (lambda: storage.read_bytes(f"{bucket}/a"), b"kept"),
        (lambda: storage.list_names(bucket), ["a"]),
        (lambda: storage.write_bytes(f"{bucket}/b", b"new"), None),
    ):
        store.kill()
        back = threading.Timer(2, store.start)
        back.start()
        assert ask() == expected
        back.join()
    assert storage.read_bytes(f"{bucket}/b") == b"new"


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "freeze"])
def test_a_store_that_stays_away(store: SwiftStore, as_owner, monkeypatch, fault: str, caplog) -> None:
    """Whether it refuses connections or accepts them and says nothing: an error that names the URI and how often it was
    tried, when the time is over. A frozen store ends uploads too, which no time-out of a socket would."""
    as_owner(store)
    bucket = make_bucket()
    storage.write_bytes(f"{bucket}/a", b"x")
    # A frozen store makes each attempt wait.
    monkeypatch.setattr(object_store, "MAX_RETRYING_SECONDS", 8 if fault == "kill" else 4)
    monkeypatch.setattr(object_store, "READ_TIMEOUT_SECONDS", 1)
    getattr(store, fault)()
    for verb, ask in (
        ("read", lambda: storage.read_range(f"{bucket}/a", 0, 1)),
        ("write", lambda: storage.write_bytes(f"{bucket}/big", bytes(8_000_000))),
    ):
        error = error_within_a_minute(ask)
        assert isinstance(error, storage.StorageError)
        assert re.fullmatch(rf"cannot {verb} {bucket}/\w+: .* \(tried (once|\d+ times) in \d+ s\)", str(error))
    if fault == "kill":
        assert f"cannot read {bucket}/a (EndpointConnectionError" in caplog.text
    store.kill()


def error_within_a_minute(ask: Callable[[], object]) -> BaseException | None:
    """A thread that hangs is left behind: it must not hang the tests."""
    errors: list[BaseException | None] = []

    def run() -> None:
        try:
            ask()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert errors, "still waiting, or nothing was wrong"
    return errors[0]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """gs:// without gcsfs says what to install, other schemes what is accepted."""
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(storage.StorageError, match=r"gs://bucket/x: cannot use gs://.*pip install 'rspnet\[gcs\]'"):
        storage.exists("gs://bucket/x")
    with pytest.raises(storage.StorageError, match=r"cannot use nosuch://.*accepted: a local path, s3://, gs://"):
        storage.exists("nosuch://bucket/x")


def test_gcs_has_short_time_outs_too() -> None:
    """The client of Google's store takes ours (nothing is asked of it here)."""
    from gcsfs import GCSFileSystem

    client = GCSFileSystem(token="anon", **object_store._options("gs"))
    assert client.requests_timeout == object_store.READ_TIMEOUT_SECONDS


def test_what_may_pass() -> None:
    """Network and server errors may, refusals and mistakes may not."""
    for error in (OSError(121, "InternalError"), OSError(16, "SlowDown"), ConnectionResetError(), TimeoutError()):
        assert object_store.may_pass(error)
    refusals = (PermissionError(), OSError("Forbidden: https://storage.googleapis.com/b"))
    for error in (*refusals, FileNotFoundError(), OSError(22, "InvalidBucketName"), ValueError(), TypeError()):
        assert not object_store.may_pass(error)
    assert not object_store.may_pass(KeyboardInterrupt())


def test_patience_is_asked_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """By everybody who reads or writes; what is no number of seconds is refused with what would be."""
    monkeypatch.delenv(object_store.RETRYING, raising=False)
    assert object_store.max_retrying_seconds() == 40
    monkeypatch.setenv(object_store.RETRYING, "2.5")
    assert object_store.max_retrying_seconds() == 2.5
    for wrong in ("long", "-1", "inf", "nan"):
        monkeypatch.setenv(object_store.RETRYING, wrong)
        with pytest.raises(ValueError, match=f"is '{wrong}'; accepted are seconds, from 0 on"):
            object_store.max_retrying_seconds()


def test_waiting_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts come ever more rarely, so that many readers do not hold a store down that is starting."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    monkeypatch.setattr(object_store, "stop_before_delay", lambda _: lambda state: state.attempt_number == 8)

    def fail(_: object) -> None:
        raise ConnectionResetError("away")

    with pytest.raises(storage.StorageError, match=r"cannot read memory://x: ConnectionResetError: away \(tried 8 tim"):
        object_store.call("memory://x", "read", fail)
    assert len(waits) == 7
    assert waits[0] < 1.3 < waits[4] < waits[6] <= 6
    assert len(set(waits)) == 7  # jitter
