"""Where runs are tracked, and what never gets printed."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from rspnet_platform.tracking import run_history, runs
from rspnet_platform.tracking.redaction import HIDDEN, is_secret_name, redact, redact_values
from rspnet_platform.tracking.tracking_config import TrackingConfig, resolve_tracking_uri, sqlite_path


def test_default_is_a_database_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a flag or a variable, runs are tracked in mlflow.db at home, by an absolute path."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    uri = resolve_tracking_uri(TrackingConfig(), Path("home"))
    assert uri == f"sqlite:///{tmp_path}/home/mlflow.db"
    assert sqlite_path(uri) == tmp_path / "home" / "mlflow.db"


def test_flag_comes_before_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLFLOW_TRACKING_URI is used where the config names nothing."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000/")
    assert resolve_tracking_uri(TrackingConfig(), tmp_path) == "http://tracker:5000"
    assert resolve_tracking_uri(TrackingConfig(uri="https://other"), tmp_path) == "https://other"


@pytest.mark.parametrize("uri", ["sqlite:///runs/a.db", "runs/a.db"])
def test_relative_databases_become_absolute(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker in another folder opens the same database."""
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri(TrackingConfig(uri=uri), tmp_path) == f"sqlite:///{tmp_path}/runs/a.db"


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "./runs.txt", "sqlite://", "sqlite:///:memory:"])
def test_stores_that_cannot_work_are_refused(uri: str, tmp_path: Path) -> None:
    """Folders, which MLflow 3 refuses late, and databases in memory: the error says what would do."""
    with pytest.raises(ValueError, match="accepted: http"):
        resolve_tracking_uri(TrackingConfig(uri=uri), tmp_path)


@pytest.mark.parametrize("name", ["proj%2Ffeature", "my project", "take#2", "what?"])
def test_a_folders_name_is_no_url(name: str, tmp_path: Path, empty_database: Path) -> None:
    """Database and artifacts are in that very folder, and no file is anywhere else. (MLflow leaves an empty folder.)"""
    uri = resolve_tracking_uri(TrackingConfig(), tmp_path / name)
    assert sqlite_path(uri) == tmp_path / name / "mlflow.db"
    (tmp_path / name).mkdir()
    shutil.copy(empty_database, tmp_path / name / "mlflow.db")
    run_id = runs.start_run(uri, "videos", "first", {}, {})
    runs.log_text(uri, run_id, "text", "note.txt")
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()} == {name}
    assert [path.read_text() for path in (tmp_path / name / "mlartifacts").rglob("note.txt")] == ["text"]
    assert run_history.artifact_address(uri, run_id, "note.txt").startswith(f"{tmp_path}/{name}/mlartifacts/")


def test_a_database_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """At once: MLflow would try for 100 s. Root may write everywhere but on what is no disk."""
    (tmp_path / "file").touch()
    for folder, message in ((tmp_path / "file" / "below", "Not a directory"), (Path("/proc/1"), "may not be written")):
        with pytest.raises(ConnectionError, match=rf"the tracking database {folder}/a.db cannot be used: .*{message}"):
            runs.start_run(f"sqlite:///{folder}/a.db", "videos", "first", {}, {})


@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")
def test_a_database_that_is_none_of_mlflows_is_named(tmp_path: Path, empty_database: Path) -> None:
    """Garbage, and another version's: one error that names the file and what to do."""
    garbage, other = tmp_path / "garbage.db", tmp_path / "other.db"
    garbage.write_bytes(bytes(range(256)) * 20)
    shutil.copy(empty_database, other)
    with sqlite3.connect(other) as database:
        database.execute("update alembic_version set version_num = 'deadbeef0000'")
    for path, message in ((garbage, "file is not a database"), (other, "found version deadbeef0000")):
        with pytest.raises(
            ValueError, match=rf"database sqlite:///{path} cannot be used: .*{message}.*mlflow db upgrade"
        ):
            runs.start_run(f"sqlite:///{path}", "videos", "first", {}, {})


def test_names_with_separators_are_refused() -> None:
    """A model name with '/' would not fit into models:/NAME@ALIAS."""
    with pytest.raises(ValueError, match=r"tracking\.model_name is 'a/b'"):
        TrackingConfig(model_name="a/b")


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql+psycopg2://mlflow:hunter2@db:5432/m", "postgresql+psycopg2://mlflow:***@db:5432/m"),
        ("https://hunter2@host/x", "https://***@host/x"),
        ("s3://bucket/x?access_key=hunter2&region=eu", "s3://bucket/x?access_key=***&region=eu"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
    ],
)
def test_redact(uri: str, shown: str) -> None:
    """Passwords and secret query values are replaced, the rest stays readable."""
    assert redact(uri) == shown


def test_what_secret_variables_hold_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the variable's name; places, and values so short that they are words, stay."""
    for name, value in {
        "AWS_SECRET_ACCESS_KEY": "planted/key+0",
        "SOME_API_KEY": "short",
        "RAY_AUTH_TOKEN_PATH": "/home/me/token",
        "OLDPWD": "/home/me/videos",
    }.items():
        monkeypatch.setenv(name, value)
    text = "signed with planted/key+0, short of /home/me/videos and /home/me/token"
    assert redact(text) == "signed with ***, short of /home/me/videos and /home/me/token"


def test_secret_names() -> None:
    """Keys that name secrets hide their value; numbers of tokens or shared starts are no secrets."""
    secret = ["db.password", "aws_secret_access_key", "hub.token", "api_key", "auth-key", "AWS_ACCESS_KEY_ID"]
    harmless = ["num_tokens", "share_key_start", "task.queue.num_keys", "keyframe"]
    assert [name for name in secret if not is_secret_name(name)] == []
    assert [name for name in harmless if is_secret_name(name)] == []
    assert redact_values({"hub.token": "x", "a": "pg://u:p@h"}) == {"hub.token": HIDDEN, "a": "pg://u:***@h"}
