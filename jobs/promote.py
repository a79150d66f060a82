"""Makes a version of a registered encoder the champion: `python jobs/promote.py --version 3`, or an alias."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:1] = [str(Path(__file__).resolve().parents[1] / folder) for folder in ("platform", ".")]

from rspnet_platform.command_line import parse_config, run_job
from rspnet_platform.home import default_home
from rspnet_platform.tracking.tracking_config import TrackingConfig, resolve_tracking_uri


@dataclass(frozen=True, kw_only=True)
class PromoteConfig:
    """`version`: a version's number or an alias of the model `tracking.model_name`."""

    version: str = "challenger"
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def parse(arguments: Sequence[str]) -> PromoteConfig:
    return parse_config(PromoteConfig, arguments, program="promote.py", description=str(__doc__))


def work(config: PromoteConfig) -> Mapping[str, Any]:
    from rspnet_platform.tracking.promotion import promote  # MLflow: --help need not wait for it

    tracking_uri = resolve_tracking_uri(config.tracking, default_home())
    model = promote(tracking_uri, config.tracking.model_name, config.version)
    return {"model_uri": model.model_uri, "version": model.version}


if __name__ == "__main__":
    run_job(parse, work, goes_on=False)
