"""Runs in a real SQLite store."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import tracking_client

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")


@pytest.fixture
def tracking_uri(empty_database: Path, tmp_path: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_run_keeps_params_tags_and_artifacts(tracking_uri: str, tmp_path: Path) -> None:
    """More params than a request takes, long values cut, no secrets, artifacts by the database."""
    params = {f"part.value_{index}": index for index in range(250)}
    params |= {"long": "x" * 7000, "hub.token": "hunter2"}
    run_id = runs.start_run(tracking_uri, "videos", "first", params, {"recipe": "tiny", "uri": "s3://k:s@b"})
    runs.log_json(tracking_uri, run_id, {"a": 1}, "config.json")
    runs.log_artifacts(tracking_uri, run_id, tmp_path / "mlflow.db", "copies")
    runs.log_metrics_once(tracking_uri, run_id, 7, {"validation/retrieval_top1": 0.5})
    runs.end_run(tracking_uri, run_id, "FINISHED")
    run = tracking_client(tracking_uri).get_run(run_id)
    assert len(run.data.params) == 252
    assert run.data.params["long"].endswith("[cut: 7000 characters]")
    assert run.data.params["hub.token"] == "[redacted]"
    assert run.data.tags["uri"] == "s3://k:***@b"
    assert (run.info.status, run.info.run_name) == ("FINISHED", "first")
    assert run.data.metrics == {"validation/retrieval_top1": 0.5}
    folder = tmp_path / "mlartifacts" / run_id / "artifacts"
    assert sorted(path.name for path in folder.rglob("*.*")) == ["config.json", "mlflow.db"]


def test_continued_run_is_the_same_run(tracking_uri: str) -> None:
    """A restart reopens the run; params that changed stand in a tag, since MLflow's cannot change."""
    run_id = runs.start_run(tracking_uri, "videos", "first", {"scaling.num_workers": 2, "seed": 0}, {})
    runs.end_run(tracking_uri, run_id, "FAILED")
    again = runs.start_run(tracking_uri, "videos", "first", {"scaling.num_workers": 1, "seed": 0}, {}, run_id)
    run = tracking_client(tracking_uri).get_run(run_id)
    assert again == run_id
    assert run.info.status == "RUNNING"
    assert run.data.params["scaling.num_workers"] == "2"
    assert run.data.tags[runs.CHANGED_PARAMS_TAG] == '{"scaling.num_workers": "1"}'


def test_mistakes_name_the_value(tracking_uri: str, tmp_path: Path) -> None:
    """Unknown runs, statuses and artifacts, and deleted experiments, are refused by name."""
    run_id = runs.start_run(tracking_uri, "gone", "first", {}, {})
    with pytest.raises(ValueError, match="run 'nothing' does not exist"):
        runs.start_run(tracking_uri, "videos", "first", {}, {}, run_id="nothing")
    with pytest.raises(ValueError, match="status is 'DONE'"):
        runs.end_run(tracking_uri, run_id, "DONE")  # pyright: ignore[reportArgumentType]
    with pytest.raises(FileNotFoundError, match="missing"):
        runs.log_artifacts(tracking_uri, run_id, tmp_path / "missing")
    client = tracking_client(tracking_uri)
    client.delete_experiment(client.get_run(run_id).info.experiment_id)
    with pytest.raises(ValueError, match="experiment 'gone' is deleted"):
        runs.start_run(tracking_uri, "gone", "second", {}, {})


def test_dead_server_gives_one_clear_error() -> None:
    """A refused port is an error that names the server without its password, not minutes of retries."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        uri = f"http://user:hunter2@127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ConnectionError, match="no answer from the tracking store") as raised:
            runs.start_run(uri, "videos", "first", {}, {})
    assert "hunter2" not in str(raised.value)


def test_frozen_server_gives_one_clear_error() -> None:
    """A server that accepts connections and never answers is an error too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConnectionError, match="timed out"):
            runs.start_run(uri, "videos", "first", {}, {})


def test_new_database_is_silent(tmp_path: Path) -> None:
    """Making and filling a database prints nothing: MLflow's and alembic's messages are not the job's."""
    script = (
        "import sys; from rspnet_platform.tracking.runs import start_run, log_text\n"
        "assert 'mlflow' not in sys.modules and 'ray' not in sys.modules\n"
        f"uri = 'sqlite:///{tmp_path}/a/m.db'; log_text(uri, start_run(uri, 'e', 'r', {{}}, {{}}), 't', 'f')"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


def test_database_without_a_server_has_no_artifacts() -> None:
    """A new experiment in a bare PostgreSQL, which would scatter its artifacts, is refused."""
    with pytest.raises(ValueError, match=r"'videos' does not exist in postgresql://a:\*\*\*@db/m.*mlflow server"):
        runs._artifact_location("postgresql://a:hunter2@db/m", "videos")
