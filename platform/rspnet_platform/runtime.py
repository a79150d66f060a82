"""Ray's start and the runtime environment of its workers, in one place."""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rspnet_core
import rspnet_platform
from rspnet_platform.cluster_head import HeadWatch, check_head_answers, check_head_speaks
from rspnet_platform.command_line import UserError, say_step
from rspnet_platform.local_cluster import IS_LOCAL, is_local_cluster, start_local_cluster
from rspnet_platform.object_store import RETRYING
from rspnet_platform.stop_requests import STOP_REQUESTS
from rspnet_platform.worker_setup import quiet_ray

WARMING_UP: list[threading.Thread] = []
"""Threads that ask something of Ray beside the job."""

WATCHING: list[HeadWatch] = []
"""The head of the cluster that this process is connected to."""


def connect(*, num_cpus: int | None = None) -> None:
    """Joins the cluster that the environment names (`RAY_ADDRESS`, as `ray job submit` sets it), or starts a local one.

    Workers get the two packages that this process itself imports, so that an older installed copy never mixes in.
    `num_cpus` is that of a local cluster; None counts the machine's.
    """
    # A thread that asks Ray for something after it was left would start another one.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    import ray

    if ray.is_initialized():
        return
    # Ray's accelerator variable is announced with a FutureWarning at each start; the new behaviour is the one wanted.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet_ray()
    address = os.environ.get("RAY_ADDRESS")
    say_step(f"connecting to the Ray at {address}" if address else "starting Ray on this machine")
    if address:
        check_head_answers(address)
        check_head_speaks(address)
    with warnings.catch_warnings(), signals_stay_with_the_job():
        warnings.simplefilter("ignore")
        if address:
            os.environ.pop(IS_LOCAL, None)
            for name in ("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "RAY_worker_register_timeout_seconds"):
                os.environ.setdefault(name, "120")
            with token_errors_of(address):
                ray.init(runtime_env=runtime_environment(), logging_level=logging.WARNING, log_to_driver=True)
        else:
            start_local_cluster(num_cpus)
    WATCHING.append(HeadWatch(ray.get_runtime_context().gcs_address))
    if address and os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        check_that_actors_start()


@contextlib.contextmanager
def signals_stay_with_the_job() -> Iterator[None]:
    """Ray takes SIGTERM for itself, with a handler in which it aborts."""
    try:
        yield
    finally:
        STOP_REQUESTS.handle_signals_again()


@contextlib.contextmanager
def token_errors_of(address: str) -> Iterator[None]:
    """Raises UserError for a cluster that asks for a token that this process does not have."""
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError as error:
        raise UserError(
            f"the cluster at {address} asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
            f"RAY_AUTH_TOKEN_PATH to the token that its nodes have ({str(error).splitlines()[0]})"
        ) from error


def check_that_actors_start() -> None:
    """Raises UserError where the cluster does not ask for the token that this process asks for: it then cannot call
    back, takes this process for dead, and drops every actor unstarted, with an error that says nothing of tokens. (The
    other way round, Ray's own error is clear.)"""
    import ray
    from ray.exceptions import ActorDiedError

    class Probe:
        def answer(self) -> None:
            pass

    try:
        actor: Any = ray.remote(num_cpus=0)(Probe)
        ray.get(actor.remote().answer.remote())
    except ActorDiedError as error:
        address = ray.get_runtime_context().gcs_address
        disconnect()
        raise UserError(
            f"the cluster at {address} starts no actor of this process, as when only one of the two asks for a token: "
            "RAY_AUTH_MODE is 'token' here; set it to 'disabled' where the cluster was started without one "
            f"({str(error).splitlines()[-1].strip()})"
        ) from error


def runtime_environment() -> dict:
    packages = [Path(str(module.__file__)).parent for module in (rspnet_platform, rspnet_core)]
    return {
        "py_modules": [str(package) for package in packages],
        "excludes": ["**/__pycache__"],
        "worker_process_setup_hook": "rspnet_platform.worker_setup.set_up_worker",
        # Training on CPUs shares them with decoding: threads that spin while they wait take what the others need.
        "env_vars": {"OMP_WAIT_POLICY": "PASSIVE"} | said_to_workers(),
    }


def said_to_workers() -> dict[str, str]:
    """Of this process's environment, what workers heed too."""
    return {name: os.environ[name] for name in ("RSPNET_TRACEBACK", RETRYING) if name in os.environ}


def cluster_resources() -> tuple[float, float]:
    """CPUs and GPUs of the whole cluster."""
    import ray

    resources = ray.cluster_resources()
    return resources.get("CPU", 0.0), resources.get("GPU", 0.0)


def warm_up_ray_data() -> None:
    """On a local cluster, in a thread: a data set of nothing, so that Ray Data's two actors and the first decode
    processes are there when the first real one begins, some two seconds earlier. Should it fail, that one starts them,
    or says what is wrong."""
    if not is_local_cluster():
        return
    WARMING_UP.append(threading.Thread(target=_warm_up_ray_data, daemon=True))
    WARMING_UP[-1].start()


def _warm_up_ray_data() -> None:
    with contextlib.suppress(Exception):
        from rspnet_platform.stream.clip_dataset import warm_up

        warm_up()


def disconnect() -> None:
    """Ray ends a process in which any thread still asks it for something after that."""
    import ray

    while WATCHING:
        WATCHING.pop().end()
    while WARMING_UP:
        WARMING_UP.pop().join()
    ray.shutdown()
    os.environ.pop(IS_LOCAL, None)
