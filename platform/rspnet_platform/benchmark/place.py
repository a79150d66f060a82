"""Where a benchmark lies, and where it is tracked."""

from dataclasses import dataclass

from rspnet_platform import storage
from rspnet_platform.benchmark.benchmark_config import BenchmarkConfig
from rspnet_platform.home import default_home
from rspnet_platform.run import generated_name
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri
from rspnet_platform.train.run_record import RECORD


@dataclass(frozen=True, kw_only=True)
class Place:
    name: str
    uri: str
    tracking_uri: str


def find_place(config: BenchmarkConfig) -> Place:
    """Raises ValueError for a name that a run of another kind has."""
    home, run = default_home(), config.first.run
    name = run.name or generated_name("benchmark")
    uri = storage.join(storage.resolve_uri(run.storage or str(home / "runs")), name)
    if storage.exists(storage.join(uri, RECORD)):
        raise ValueError(f"{uri} is a training run; accepted is another --run.name, or another --run.storage")
    return Place(name=name, uri=uri, tracking_uri=resolve_tracking_uri(config.first.tracking, home))
