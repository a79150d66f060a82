"""What Ray Train does with a run's folder, on a real S3: through our client, as patient as all else."""

import pickle
import threading
from pathlib import Path

import pyarrow.fs
import pytest
from rspnet_platform import object_store, storage
from rspnet_platform.train.run_storage import run_filesystem

from tests.services.conftest import make_bucket
from tests.services.swift_store import STRANGER, SwiftStore


def test_folders_come_and_go(bucket: str, tmp_path: Path) -> None:
    """A checkpoint's folder is sent, looked at, listed, fetched again and deleted; the same after travelling to a
    worker."""
    filesystem, path = run_filesystem(f"{bucket}/runs/run")
    assert filesystem is not None
    assert path == f"{bucket.removeprefix('s3://')}/runs/run"
    filesystem = pickle.loads(pickle.dumps(filesystem))
    files = {"state.pt": bytes(3_000_000), "data.json": b"{}", "deep/er": b"1"}
    for name, content in files.items():
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    filesystem.create_dir(path)
    pyarrow.fs.copy_files(str(tmp_path / "out"), f"{path}/checkpoint", destination_filesystem=filesystem)
    assert storage.list_names(f"{bucket}/runs/run/checkpoint") == ["data.json", "deep", "state.pt"]
    assert filesystem.get_file_info(f"{path}/checkpoint").type == pyarrow.fs.FileType.Directory
    assert filesystem.get_file_info(f"{path}/checkpoint/state.pt").size == 3_000_000
    assert filesystem.get_file_info(f"{path}/nothing").type == pyarrow.fs.FileType.NotFound
    selected = filesystem.get_file_info(pyarrow.fs.FileSelector(path, recursive=False))
    assert [info.base_name for info in selected] == ["checkpoint"]
    pyarrow.fs.copy_files(f"{path}/checkpoint", str(tmp_path / "back"), source_filesystem=filesystem)
    assert {name: (tmp_path / "back" / name).read_bytes() for name in files} == files
    with filesystem.open_input_stream(f"{path}/checkpoint/data.json") as stream:
        assert stream.read() == b"{}"
    filesystem.delete_dir(f"{path}/checkpoint")
    assert storage.list_names(f"{bucket}/runs/run") == []


def test_a_checkpoint_that_cannot_be_deleted_costs_a_line(
    shared_store: SwiftStore, as_owner, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And no name is a pattern: the checkpoint beside stays."""
    for name in ("run[12]", "run1"):
        storage.write_bytes(f"{bucket}/{name}/checkpoint/file", b"1")
    filesystem, path = run_filesystem(f"{bucket}/run[12]")
    assert filesystem is not None
    as_owner(shared_store, user=STRANGER)
    filesystem.delete_dir(f"{path}/checkpoint")
    [record] = caplog.records
    assert record.getMessage().startswith(f"cannot delete {bucket}/run[12]/checkpoint: ")
    assert record.getMessage().endswith("; it is left there")
    assert record.exc_info is None
    as_owner(shared_store)
    assert storage.list_names(f"{bucket}/run[12]/checkpoint") == ["file"]
    filesystem.delete_dir(f"{path}/checkpoint")
    assert storage.list_names(bucket) == ["run1"]


def test_a_stream_is_sent_whole_when_it_is_closed(bucket: str) -> None:
    """Nobody sees half of a file, and an empty one is a file too."""
    filesystem, path = run_filesystem(bucket)
    assert filesystem is not None
    stream = filesystem.open_output_stream(f"{path}/marker")
    stream.write(b"half")
    assert storage.list_names(bucket) == []
    stream.close()
    assert storage.read_bytes(f"{bucket}/marker") == b"half"
    filesystem.open_output_stream(f"{path}/empty").close()
    assert storage.read_bytes(f"{bucket}/empty") == b""


@pytest.mark.slow
def test_a_checkpoint_waits_for_the_store(store, as_owner, tmp_path, monkeypatch) -> None:
    """Killed and started again: what is written and read in the meantime arrives. Gone for good: our error."""
    as_owner(store)
    filesystem, path = run_filesystem(make_bucket())
    assert filesystem is not None
    local = tmp_path / "checkpoint"
    local.mkdir()
    (local / "state.pt").write_bytes(b"weights")
    store.kill()
    threading.Timer(3, store.start).start()
    pyarrow.fs.copy_files(str(local), f"{path}/checkpoint", destination_filesystem=filesystem)
    assert filesystem.get_file_info(f"{path}/checkpoint/state.pt").size == 7
    store.kill()
    monkeypatch.setattr(object_store, "MAX_RETRYING_SECONDS", 2)
    with pytest.raises(storage.StorageError, match=rf"cannot write s3://{path}/snapshot.json: .* \(tried \d+ times in"):
        filesystem.open_output_stream(f"{path}/snapshot.json").close()
    with pytest.raises(storage.StorageError, match=rf"cannot look for s3://{path}/checkpoint: .* \(tried \d+ times in"):
        filesystem.get_file_info(f"{path}/checkpoint")


def test_a_local_run_is_rays_own() -> None:
    """It needs none of this."""
    assert run_filesystem("/runs/run") == (None, "/runs/run")
