"""A Ray of this machine alone: what its workers inherit, and that Ray still calls what we override."""

import contextlib
import os
import site
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rspnet_platform import local_cluster, runtime
from rspnet_platform.command_line import UserError
from rspnet_platform.local_cluster import IS_LOCAL, environment_of_workers, is_local_cluster, python_path
from rspnet_platform.train.pulse import Pulse
from rspnet_platform.train.silence import MAX_SILENT_SECONDS
from rspnet_platform.train.stoppable import stoppable

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


def test_workers_get_this_checkout_and_their_settings_by_birth(ray_of_two_cpus: None) -> None:  # noqa: ARG001
    """No runtime environment: no package is sent, and the workers that Ray started beforehand are taken."""
    import ray

    def seen() -> dict[str, object]:
        import logging

        import rspnet_platform

        import rspnet_core

        context = ray.get_runtime_context()
        return {
            "packages": [str(module.__file__) for module in (rspnet_core, rspnet_platform)],
            "runtime environment": dict(context.runtime_env),
            "preloaded": [name in sys.modules for name in local_cluster.PRELOADED_MODULES],
            "spinning": os.environ["OMP_WAIT_POLICY"],
            "cluster": os.environ["RAY_ADDRESS"] == context.gcs_address,
            "quiet": bool(logging.getLogger("ray.data._internal.progress").filters),
            "local": local_cluster.is_local_cluster(),
        }

    assert is_local_cluster()
    found = ray.get(ray.remote(num_cpus=0)(seen).remote())
    assert found["packages"] == [
        str(ROOT / "rspnet_core" / "__init__.py"),
        str(ROOT / "platform" / "rspnet_platform" / "__init__.py"),
    ]
    assert found["runtime environment"] == {}
    assert found["preloaded"] == [True, True]
    assert (found["spinning"], found["cluster"], found["quiet"], found["local"]) == ("PASSIVE", True, True, True)


def test_ray_listens_on_loopback_alone(ray_of_two_cpus: None) -> None:  # noqa: ARG001
    """This process, the daemons and a worker: nothing of them can be reached from outside."""
    import psutil
    import ray

    ray.get(ray.remote(num_cpus=0)(lambda: None).remote())
    this = psutil.Process()
    places = {
        process.pid: [each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN]
        for process, sockets in connections([this, *this.children(recursive=True)])
    }
    assert len(places) > 5
    assert sum(map(len, places.values())) > 5
    assert {ip for ips in places.values() for ip in ips} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_the_head_is_watched(ray_of_two_cpus: None) -> None:  # noqa: ARG001
    """As long as this process is connected to it."""
    import ray

    [watch] = runtime.WATCHING
    assert watch._address == ray.get_runtime_context().gcs_address
    assert watch._thread.is_alive()


def test_a_training_says_which_rank_is_silent(
    ray_of_two_cpus: None,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Of two that beat, the one that does no more; through the cluster, as from other processes."""
    monkeypatch.setenv(MAX_SILENT_SECONDS, "1.5")
    with (
        stoppable(str(tmp_path)) as board,
        Pulse(board, rank=0, num_workers=2, step=7),
        Pulse(board, rank=1, num_workers=2, step=7) as silent,
    ):
        wait_until(lambda: set(board.read()) == {0, 1}, "the ranks do not beat")
        silent._ended.set()
        wait_until(lambda: "has not reported" in capfd.readouterr().err, "nobody says it", timeout_seconds=20)
    assert board.read() == {}


def test_an_address_that_is_none_is_refused_before_ray_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would look for it for minutes."""
    import ray

    monkeypatch.setenv("RAY_ADDRESS", "head:many")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match="RAY_ADDRESS is 'head:many'; accepted are HOST:PORT"):
        runtime.connect()


def connections(processes: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Of those that have not ended meanwhile."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            yield process, process.net_connections(kind="inet")


def test_a_long_temporary_folder_is_gone_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of Ray's sockets would be longer than the system takes; without another folder one error says so."""
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    for folder, expected in (("/scratch", "/scratch/ray"), (f"/scratch/{'x' * 60}", "/tmp/ray")):
        monkeypatch.setenv("TMPDIR", folder)
        assert local_cluster.folder_of_sessions() == expected
    monkeypatch.setattr(local_cluster, "SHORT_FOLDER", "/nowhere")
    with pytest.raises(ValueError, match=r"/scratch/x{60} has too long a path .* accepted: a TMPDIR of up to 35 bytes"):
        local_cluster.folder_of_sessions()


def test_the_driver_keeps_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the daemons are started with is taken back, and what the user has set of Ray Train's goes to the workers."""
    monkeypatch.setenv("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("PYTHONPATH", "/of/the/user")
    before = dict(os.environ)
    with environment_of_workers({"HOOK": "a.b"}):
        assert os.environ["RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"] == "0.1"
        assert (os.environ["OMP_WAIT_POLICY"], os.environ["HOOK"]) == ("PASSIVE", "a.b")
        assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(ROOT / "platform"), str(ROOT), "/of/the/user"]
    assert dict(os.environ) == before


def test_an_installed_package_is_not_put_before_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its folder holds everything else that is installed."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(ROOT / "platform"), str(ROOT)])
    assert python_path() == ""


def test_a_cluster_that_is_joined_is_not_local(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the variable of an earlier local one is inherited."""
    import ray

    monkeypatch.setenv(IS_LOCAL, "1")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(runtime, "check_head_answers", lambda _: None)
    monkeypatch.setattr(runtime, "check_head_speaks", lambda _: None)
    monkeypatch.setattr(runtime, "HeadWatch", lambda _: None)
    monkeypatch.setattr(runtime, "WATCHING", [])
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="127.0.0.1:1"))
    runtime.connect()
    assert not is_local_cluster()


def test_ray_train_still_has_what_is_overridden() -> None:
    """A version of Ray that no longer calls these would train all the same, and start as slowly as before."""
    import inspect

    from ray._private import ray_constants
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.execution.controller import TrainController
    from ray.train.v2._internal.execution.worker_group.worker_group import WorkerGroup
    from rspnet_platform.train.jobs_trainer import JobsTrainer
    from rspnet_platform.train.local_trainer import LocalTrainController, LocalTrainer, LocalWorkerGroup

    for ours, theirs, name in (
        (LocalTrainer, TorchTrainer, "_initialize_and_run_controller"),
        (LocalTrainer, TorchTrainer, "_create_default_callbacks"),
        (JobsTrainer, TorchTrainer, "_register_sigint_handler"),
        (LocalWorkerGroup, WorkerGroup, "_get_worker_runtime_env"),
    ):
        parameters = [list(inspect.signature(getattr(of, name)).parameters.values()) for of in (ours, theirs)]
        assert [each.kind for each in parameters[0]] == [each.kind for each in parameters[1]]
    source = inspect.getsource(TorchTrainer.fit)
    assert "self._initialize_and_run_controller(" in source
    assert "self._create_default_callbacks()" in source
    assert "self._register_sigint_handler(" in inspect.getsource(TorchTrainer._initialize_and_run_controller)
    assert "self.worker_group_cls.create(" in inspect.getsource(TrainController)
    assert "self._get_worker_runtime_env(" in inspect.getsource(WorkerGroup)
    assert LocalTrainController.worker_group_cls is LocalWorkerGroup
    assert ray_constants.WORKER_PROCESS_SETUP_HOOK_ENV_VAR == "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
