"""A run's curves out of MLflow, restarts and absent stores included."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.run_history import (
    artifact_address,
    curve_of,
    read_json_artifact,
    read_run_history,
)


def test_of_a_repeated_step_the_latest_value_counts():
    """A run that died after step 3 and went on from step 1: points come in any order, by (step, time, value)."""
    curve = curve_of([(3, 30, 9.0), (1, 10, 1.0), (2, 20, 8.0), (3, 60, 3.0), (2, 50, 2.0), (4, 70, 4.0)])
    np.testing.assert_array_equal(curve.steps, [1, 2, 3, 4])
    np.testing.assert_array_equal(curve.values, [1.0, 2.0, 3.0, 4.0])
    assert curve.num_repeated == 2


@pytest.fixture
def store(empty_database: Path, tmp_path: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_a_run_is_read_back_whole(store: str):
    """Params, tags, status, times, every value of every metric, and a file."""
    before = time.time()
    run_id = runs.start_run(store, "rspnet", "first", {"training.seed": 7}, {"code_commit": "abc"})
    points = [(1, 100, 2.0), (2, 200, 9.0), (2, 300, 1.5), (3, 400, float("nan"))]
    for step, at, value in points:
        tracking_client(store).log_metric(run_id, "train/loss", value, timestamp=at, step=step)
    runs.log_json(store, run_id, {"classes": ["a"]}, "confusion_matrix.json")
    open_history = read_run_history(store, run_id)
    assert (open_history.status, open_history.ended_seconds) == ("RUNNING", None)
    runs.end_run(store, run_id, "FINISHED")
    history = read_run_history(store, run_id)
    assert (history.name, history.status, history.params["training.seed"]) == ("first", "FINISHED", "7")
    assert history.tags["code_commit"] == "abc"
    assert history.ended_seconds is not None
    assert before - 1 <= history.began_seconds <= history.ended_seconds <= time.time() + 1
    loss = history.curves["train/loss"]
    np.testing.assert_array_equal(loss.steps, [1, 2, 3])
    np.testing.assert_array_equal(loss.values, [2.0, 1.5, np.nan])
    assert loss.num_repeated == 1
    assert read_json_artifact(store, run_id, "confusion_matrix.json") == {"classes": ["a"]}
    assert Path(artifact_address(store, run_id, "confusion_matrix.json")).is_file()
    with pytest.raises(ValueError, match="no artifact nothing"):
        read_json_artifact(store, run_id, "nothing.json")


def test_what_is_not_there_is_said(store: str, tmp_path: Path):
    """A store without the run; a database that does not exist, which asking must not make."""
    with pytest.raises(ValueError, match="'nobody' does not exist"):
        read_run_history(store, "nobody")
    with pytest.raises(ConnectionError, match=r"gone\.db does not exist"):
        read_run_history(f"sqlite:///{tmp_path / 'gone.db'}", "nobody")
    assert not (tmp_path / "gone.db").exists()
