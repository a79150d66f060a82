"""A Ray of this machine alone, started for one job and ended with it."""

import contextlib
import os
import secrets
import site
from collections.abc import Iterator, Mapping
from pathlib import Path

import rspnet_core
import rspnet_platform

PRELOADED_MODULES = ("ray.train", "rspnet_platform.stream.clip_source")
"""What nearly every worker needs. Ray has workers import them before their first task, while the driver is still busy
with other things."""

MAX_SOCKET_PATH_BYTES = 103
"""Of macOS; Linux takes four more."""
LONGEST_SOCKET = "/session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
SHORT_FOLDER = "/tmp"

IS_LOCAL = "RSPNET_LOCAL_CLUSTER"

WORKERS_SETTINGS = {
    # Training on CPUs shares them with decoding: threads that spin while they wait take what the others need.
    "OMP_WAIT_POLICY": "PASSIVE",
    "RAY_preload_python_modules": ",".join(PRELOADED_MODULES),
    # Nobody preempts this machine's own cluster.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "120",
    "RAY_worker_register_timeout_seconds": "120",
    # How often Ray Train's controller looks at its workers: a run ends, and a checkpoint counts, that much later.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # What Ray Train sets for its controller.
    "RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0",
}


def start_local_cluster(num_cpus: int | None) -> None:
    """On loopback, every socket of Ray's, and closed by a token that nobody else knows. (The store at which torch's
    workers find each other is torch's, and listens on all interfaces.) `num_cpus` None counts the machine's.

    Its workers stand on this process's own file system: they inherit the packages' place and all settings from the
    environment of this moment, and no package is sent to them.

    Ray turns token authentication on by itself for a local cluster. Without a token in the environment it would write
    one to `~/.ray/auth_token`, which changes how every later `ray start` of this user behaves.
    """
    import logging

    import ray
    from ray._private.ray_constants import WORKER_PROCESS_SETUP_HOOK_ENV_VAR

    if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    # Through this variable Ray's own runtime environments set the hook. (A runtime environment costs the first workers
    # 2 s, and throws away those that Ray has started beforehand.)
    hook = {WORKER_PROCESS_SETUP_HOOK_ENV_VAR: "rspnet_platform.worker_setup.set_up_worker"}
    with on_loopback() as loopback, environment_of_workers(hook | loopback):
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            logging_level=logging.WARNING,
            log_to_driver=True,
            _temp_dir=folder_of_sessions(),
        )
    os.environ[IS_LOCAL] = "1"


def folder_of_sessions() -> str:
    """Ray's own folder for its sockets and logs, or one with a shorter name where the sockets' paths would be longer
    than the system takes. Raises ValueError where there is none."""
    from ray._common.utils import get_default_ray_temp_dir

    folder = get_default_ray_temp_dir()
    if len(os.fsencode(f"{folder}{LONGEST_SOCKET}")) <= MAX_SOCKET_PATH_BYTES:
        return folder
    if not os.access(SHORT_FOLDER, os.W_OK):
        raise ValueError(
            f"the temporary folder {os.path.dirname(folder)} has too long a path for Ray's sockets, and {SHORT_FOLDER}"
            f" may not be written; accepted: a TMPDIR of up to {MAX_SOCKET_PATH_BYTES - len(LONGEST_SOCKET) - 4} bytes"
        )
    return f"{SHORT_FOLDER}/ray"


def is_local_cluster() -> bool:
    """Whether the Ray that this process belongs to, as driver or worker, was started by `start_local_cluster`."""
    return os.environ.get(IS_LOCAL) == "1"


@contextlib.contextmanager
def on_loopback() -> Iterator[dict[str, str]]:
    """Has a Ray that starts in the block take 127.0.0.1 for the machine's address, as it does by itself on macOS: its
    daemons and workers then listen there alone. (Asked for that address, Ray takes the machine's outer one instead, and
    listens on all.) Yields what its daemons find in their environment for it."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield {ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR: "0"}
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def environment_of_workers(more: Mapping[str, str]) -> Iterator[None]:
    """What this process's environment is while Ray's daemons start: they hand it on to the workers. What the user has
    set stays."""
    settings = {name: os.environ.get(name, value) for name, value in WORKERS_SETTINGS.items()}
    settings |= {**more, IS_LOCAL: "1", "PYTHONPATH": python_path()}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def python_path() -> str:
    """Leads to the two packages that this process imports, so that an older installed copy never mixes in."""
    folders = [str(Path(str(module.__file__)).resolve().parents[1]) for module in (rspnet_platform, rspnet_core)]
    given = os.environ.get("PYTHONPATH")
    # What is installed is found anyway; put first, all of it would come before the standard library.
    found_anyway = {str(Path(folder).resolve()) for folder in site.getsitepackages()}
    return os.pathsep.join([*(f for f in folders if f not in found_anyway), *([given] if given else [])])
