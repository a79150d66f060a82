"""Which code ran."""

import subprocess
from pathlib import Path


def code_commit() -> str:
    """The checkout's commit, with "-dirty" where files differ from it, or the installed version."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return installed_version()


def installed_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"rspnet {version('rspnet')}"
    except PackageNotFoundError:
        return "unknown"
