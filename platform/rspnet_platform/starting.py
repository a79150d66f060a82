"""A job's first seconds: what can start together starts together, and the terminal says what it waits for.

Ray's processes start while a thread of this one imports torch and MLflow and opens the tracking store.
"""

import contextlib
import gc
import importlib
import os
import threading
from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name
from typing import Any

from rspnet_platform import runtime
from rspnet_platform.command_line import say_step
from rspnet_platform.home import default_home
from rspnet_platform.tracking.client import import_mlflow, open_store
from rspnet_platform.tracking.tracking_config import TrackingConfig, resolve_tracking_uri, sqlite_path


def start(work: str, tracking: TrackingConfig | None) -> Callable[..., Any]:
    """The function `work`, as "package.module:name", ready to run: connected to Ray as by `runtime.connect`, with all
    loaded that most jobs need next. `tracking` None: a job that tracks nothing."""
    # Threads that spin while they wait take what decoding beside them needs; read once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.disable()  # a fifth of the time that imports take, and they leave nothing to collect
    loading = threading.Thread(target=load, args=(tracking,), daemon=True)
    loading.start()
    runtime.connect()
    say_step("loading torch and MLflow")
    loading.join()
    function = resolve_name(work)
    gc.freeze()  # nor will they ever: leaving the process is a second shorter for it
    gc.enable()
    return partial(_and_disconnect, function)


def _and_disconnect(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    try:
        return function(*arguments, **named)
    finally:
        runtime.disconnect()


def load(tracking: TrackingConfig | None) -> None:
    """Nothing of Ray's, of which the main thread imports parts at the same time. What is wrong with the store is found
    again, and said, where the job needs it; a SQLite database is not made before the job has been found to be sound."""
    for name in ("torch", "pandas"):
        importlib.import_module(name)
    if tracking is None:
        return
    with contextlib.suppress(Exception):
        uri = resolve_tracking_uri(tracking, default_home())
        import_mlflow()
        if (database := sqlite_path(uri)) is None or database.exists():
            open_store(uri)
