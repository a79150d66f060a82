"""Where results go without being told, and where the time goes."""

import time
from pathlib import Path

import pytest
from rspnet_platform.home import default_home
from rspnet_platform.train.phase_timers import PhaseTimers


def test_results_lie_where_the_job_is_started(tmp_path, monkeypatch):
    """Unless a variable names another folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RSPNET_HOME", raising=False)
    assert default_home() == tmp_path
    monkeypatch.setenv("RSPNET_HOME", str(tmp_path / "elsewhere"))
    assert default_home() == tmp_path / "elsewhere"


def test_a_submitted_jobs_results_outlive_ray(tmp_path, monkeypatch):
    """Ray removes the copy that a submitted job stands in."""
    folder = tmp_path / "session_1" / "runtime_resources" / "working_dir_files" / "_ray_pkg_0123"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("RSPNET_HOME", raising=False)
    assert default_home() == Path.home() / "rspnet"


def test_phases_add_up_and_start_anew(monkeypatch):
    """Two steps of 2 s and 3 s of waiting in 10 s; the next window begins empty."""
    clock = iter([0.0, 1.0, 3.0, 4.0, 7.0, 7.5, 9.5, 10.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timers = PhaseTimers()
    with timers.phase("step"):
        pass
    assert next(timers.each("data_wait", ["batch"])) == "batch"
    with timers.phase("step"):
        pass
    times = timers.take()
    assert times.elapsed_seconds == 10.0
    assert times.fractions == pytest.approx({"step": 0.4, "data_wait": 0.3})
    assert times.counts == {"step": 2, "data_wait": 1}
    monkeypatch.setattr(time, "perf_counter", lambda: 12.0)
    assert timers.take().counts == {}
