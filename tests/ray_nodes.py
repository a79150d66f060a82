"""Real Ray nodes on one machine, each a process group of its own with an address of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.processes import descendants

RAY = str(Path(sys.executable).with_name("ray"))
OBJECT_STORE_BYTES = 150_000_000


@dataclass(frozen=True, kw_only=True)
class RayNodes:
    """`environment` is that of a driver; it connects to the head."""

    environment: dict[str, str]
    head: subprocess.Popen
    worker: subprocess.Popen
    worker_log: Path

    def has_worker(self) -> bool:
        """Whether the worker node has joined the head."""
        return "Ray runtime started" in self.worker_log.read_text()

    def kill_raylet_of_worker(self) -> None:
        """As when the machine is lost: its workers and its object store go along."""
        for process in descendants(self.worker.pid, "src/ray/raylet/raylet"):
            process.kill()


@contextlib.contextmanager
def two_ray_nodes(folder: Path, *, num_cpus: int, token: str | None = None) -> Iterator[RayNodes]:
    """A head without CPUs for tasks but one, and a worker node of `num_cpus`, which ask for `token` where there is one.
    `folder` must have a short path."""
    port = free_port()
    environment = os.environ | {
        "HOME": str(folder),
        "RAY_AUTH_MODE": "disabled",
        "RAY_ADDRESS": f"127.0.0.2:{port}",
        # A node that is gone is noticed in seconds instead of a minute.
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "2000",
        "RAY_health_check_failure_threshold": "3",
    }
    environment.pop("RAY_AUTH_TOKEN", None)
    if token is not None:
        environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    ports = ("ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
    own_ports = ["--head", f"--port={port}", "--include-dashboard=false", *(f"--{p}={free_port()}" for p in ports)]
    nodes = []
    try:
        nodes.append(start_node(folder / "h", "127.0.0.2", 1, own_ports, environment))
        wait_until(lambda: is_listening("127.0.0.2", port), nodes)
        nodes.append(start_node(folder / "w", "127.0.0.3", num_cpus, [f"--address=127.0.0.2:{port}"], environment))
        yield RayNodes(environment=environment, head=nodes[0], worker=nodes[1], worker_log=folder / "w" / "log")
    finally:
        for node in reversed(nodes):
            stop_node(node)


def start_node(
    folder: Path, address: str, num_cpus: int, arguments: list[str], environment: dict[str, str]
) -> subprocess.Popen:
    """`ray start --block`, its output in a file beside `folder`."""
    folder.mkdir(parents=True)
    command = [RAY, "start", "--block", f"--node-ip-address={address}", f"--num-cpus={num_cpus}"]
    command += [f"--object-store-memory={OBJECT_STORE_BYTES}", f"--temp-dir={folder}/t", *arguments]
    command += [f"--metrics-export-port={free_port()}"]
    without_address = {key: value for key, value in environment.items() if key != "RAY_ADDRESS"}
    with open(folder / "log", "w") as log:
        return subprocess.Popen(command, env=without_address, stdout=log, stderr=log, start_new_session=True)


def stop_node(node: subprocess.Popen) -> None:
    """Without asking: a node that was asked to end was still there after 20 seconds."""
    family = psutil.Process(node.pid).children(recursive=True) if node.poll() is None else []
    with contextlib.suppress(ProcessLookupError):
        os.killpg(node.pid, signal.SIGKILL)
    node.wait()
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def free_port() -> int:
    """Outside the range that Ray gives to workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return port if port >= 20000 else free_port()


def is_listening(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0


def wait_until(condition, nodes: list[subprocess.Popen], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert all(node.poll() is None for node in nodes), "a Ray node ended"
        assert time.monotonic() < deadline, "the Ray nodes do not answer"
        time.sleep(0.2)
