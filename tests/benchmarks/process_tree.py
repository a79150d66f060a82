"""CPU time and memory of a process and all of its descendants, Ray's own services apart."""

import os
from dataclasses import dataclass

import psutil

RAY_SERVICES = ("raylet", "gcs_server", "log_monitor.py", "monitor.py", "dashboard.py", "agent.py")
"""Ends of what their command lines begin with."""

RAY_AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "ray::_StatsActor", "ray::_AutoscalingCoordinatorActor")
"""With the others they serve all of a cluster's jobs, ours among them."""


@dataclass(frozen=True, kw_only=True)
class TreeCpu:
    """CPU seconds since each process began, those of processes that have ended included."""

    work_seconds: float
    ray_service_seconds: float

    def __sub__(self, earlier: "TreeCpu") -> "TreeCpu":
        return TreeCpu(
            work_seconds=self.work_seconds - earlier.work_seconds,
            ray_service_seconds=self.ray_service_seconds - earlier.ray_service_seconds,
        )

    @property
    def seconds(self) -> float:
        return self.work_seconds + self.ray_service_seconds


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """`private_mib` leaves out what the process shares with others, above all Ray's object store."""

    name: str
    resident_mib: float
    private_mib: float


def tree_cpu() -> TreeCpu:
    work = services = 0.0
    for process in _tree():
        try:
            times, is_service = process.cpu_times(), is_ray_service(process)
        except psutil.NoSuchProcess:
            continue  # its parent has waited for it and counts it from now on
        seconds = times.user + times.system + times.children_user + times.children_system
        work, services = (work, services + seconds) if is_service else (work + seconds, services)
    return TreeCpu(work_seconds=work, ray_service_seconds=services)


def tree_memory() -> dict[int, ProcessMemory]:
    """By process id."""
    found = {}
    for process in _tree():
        try:
            info, name = process.memory_info(), _short_name(process)
        except psutil.NoSuchProcess:
            continue
        found[process.pid] = ProcessMemory(
            name=name, resident_mib=info.rss / 2**20, private_mib=(info.rss - info.shared) / 2**20
        )
    return found


def is_ray_service(process: psutil.Process) -> bool:
    command = process.cmdline()[:3]
    return any(part.startswith(RAY_AGENTS) or ("/ray/" in part and part.endswith(RAY_SERVICES)) for part in command)


def _short_name(process: psutil.Process) -> str:
    if process.pid == os.getpid():
        return "driver"
    command = process.cmdline() or [process.name()]
    if command[0].startswith("ray::"):
        return command[0].split("(")[0]
    services = [part.rsplit("/", 1)[-1] for part in command[:3] if "/ray/" in part and part.endswith(RAY_SERVICES)]
    return services[0] if services else "worker"


def _tree() -> list[psutil.Process]:
    process = psutil.Process()
    return [process, *process.children(recursive=True)]
