"""CPU time of a process and its children, spreads over rounds, and what machine and versions they belong to."""

import contextlib
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median, quartiles and number of values, one a round."""

    median: float
    lower_quartile: float
    upper_quartile: float
    num_rounds: int

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray) -> "Spread":
        lower, median, upper = (float(value) for value in np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75)))
        return cls(median=median, lower_quartile=lower, upper_quartile=upper, num_rounds=len(values))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.median:.3g} [{self.lower_quartile:.3g} to {self.upper_quartile:.3g}]"


def cpu_seconds() -> float:
    """User and system time of this process, all of its threads, and the children that it has now."""
    seconds = time.process_time()
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            seconds += times.user + times.system
    return seconds


def machine() -> dict[str, Any]:
    """What the numbers belong to. The load says how many other processes wanted the cores."""
    return {
        "processor": _processor_name(),
        "num_cpus": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in psutil.getloadavg()],
    }


def _processor_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    values = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in values.items()}
    return f"{fields.get('model name', platform.processor())}, family {fields.get('cpu family', '?')}"


def versions(*names: str) -> dict[str, str]:
    """Of the installed distributions among `names`."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
