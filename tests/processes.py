"""Looks at processes that come and go meanwhile: one that has just ended counts as gone, not as an error."""

from collections.abc import Iterable

import psutil


def is_running(process: psutil.Process, name: str) -> bool:
    """Whether it is alive with `name` somewhere in its command line; one that has ended (a zombie too) is not."""
    try:
        return any(name in part for part in process.cmdline())
    except psutil.Error:
        return False


def descendants(process_id: int, name: str) -> list[psutil.Process]:
    """What that process started, directly or not, with `name` in the command line."""
    return running(psutil.Process(process_id).children(recursive=True), name)


def running(processes: Iterable[psutil.Process], name: str) -> list[psutil.Process]:
    """Those of them that are."""
    return [process for process in processes if is_running(process, name)]
