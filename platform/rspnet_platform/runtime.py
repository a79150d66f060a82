"""Ray's start and the runtime environment of its workers, in one place."""

import logging
import os
import secrets
import warnings
from pathlib import Path
from typing import Any

import rspnet_core
import rspnet_platform
from rspnet_platform.command_line import UserError
from rspnet_platform.worker_setup import quiet_ray


def connect(*, num_cpus: int | None = None) -> None:
    """Joins the cluster that the environment names (`RAY_ADDRESS`, as `ray job submit` sets it), or starts a local one.

    Workers get the two packages that this process itself imports, so that an older installed copy never mixes in.
    `num_cpus` is that of a local cluster; None counts the machine's.
    """
    import ray

    if ray.is_initialized():
        return
    for name in ("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "RAY_worker_register_timeout_seconds"):
        os.environ.setdefault(name, "120")
    # Ray's accelerator variable is announced with a FutureWarning at each start; the new behaviour is the one wanted.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet_ray()
    options = {} if os.environ.get("RAY_ADDRESS") else local_cluster_options(num_cpus)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ray.init(runtime_env=runtime_environment(), logging_level=logging.WARNING, log_to_driver=True, **options)
    if not options and os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        check_that_actors_start()


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


def local_cluster_options(num_cpus: int | None) -> dict:
    """A cluster of this process alone, on loopback, closed by a token that nobody else knows.

    Ray turns token authentication on by itself for a local cluster. Without a token in the environment it would write
    one to `~/.ray/auth_token`, which changes how every later `ray start` of this user behaves.
    """
    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # Nobody preempts this machine's own cluster.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    return {"include_dashboard": False, "address": "local", "num_cpus": num_cpus}


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
    """Of this process's environment, what decides on the workers' messages."""
    return {name: os.environ[name] for name in ("RSPNET_TRACEBACK",) if name in os.environ}


def cluster_resources() -> tuple[float, float]:
    """CPUs and GPUs of the whole cluster."""
    import ray

    resources = ray.cluster_resources()
    return resources.get("CPU", 0.0), resources.get("GPU", 0.0)


def disconnect() -> None:
    import ray

    ray.shutdown()
