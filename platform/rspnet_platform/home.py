"""Where a job leaves its results when nobody says where."""

import os
from pathlib import Path


def default_home() -> Path:
    """`$RSPNET_HOME`, else the folder that the job is started in.

    A job that `ray job submit` runs stands in a copy that Ray removes: its results go to `~/rspnet` instead.
    """
    if home := os.environ.get("RSPNET_HOME"):
        return Path(home).expanduser().resolve()
    folder = Path.cwd()
    return Path.home() / "rspnet" if is_unpacked_by_ray(folder) else folder


def is_unpacked_by_ray(folder: Path) -> bool:
    return "runtime_resources" in folder.parts and any(part.startswith("_ray_pkg_") for part in folder.parts)
