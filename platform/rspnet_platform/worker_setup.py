"""What each of our Ray processes does first: know its own cluster, and leave out what Ray says without need."""

import atexit
import contextlib
import logging
import multiprocessing.util
import os
import signal
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import ray
from ray._private.worker import shutdown

SAID_WITHOUT_NEED = {
    # Every second: a local cluster has no dashboard to ask.
    "ray.train.v2._internal.execution.controller.placement_group_cleaner": "State API may be temporarily",
    # Ray Data's bars are off, as they should be beside ours.
    "ray.data._internal.progress": "Progress bars disabled",
    "ray.data._internal.execution.streaming_executor": "execution finished in",
    "ray.train.v2._internal.execution.storage": "Checkpoint successfully created",
    # Of a process that trains by itself, each time that the run's checkpoints are looked up.
    "ray.train.v2._internal.execution.checkpoint.checkpoint_manager": "A run snapshot was found",
    # Of an evaluation that begins while a training's data set is still being put away.
    "ray.data._internal.logging": "registers for logging while another dataset",
    # A sweep's trials report no file of results: their records have it all.
    "ray.tune.analysis.experiment_analysis": "Failed to fetch metrics",
    # Every few seconds, with a traceback, from a cluster whose head does not tell of drained nodes.
    "ray.train.v2._internal.execution.preemption": "PreemptionWatcher poll failed",
    # The token is this process's own; there is nothing to do.
    "ray._private.authentication.authentication_token_setup": "Token authentication is enabled",
}
"""By the logger that says it. What else these say comes through."""

TELL_WHERE_TASKS_FAILED = (
    "ray.data.exceptions",
    "ray.data._internal.execution.streaming_executor",
    "ray.data._internal.execution.streaming_executor_state",
    "ray.data._internal.iterator.stream_split_iterator",
    "ray.train.v2._internal.util",
    "ray.train.v2._internal.execution.controller.controller",
)
"""With a traceback each. For a store that stays away it says nothing that the job's own error does not."""


def set_up_worker() -> None:
    """Runs in each worker when it starts."""
    # Ray's State API would look for any Ray on this machine, and end with an error in a thread where there are two.
    os.environ.setdefault("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    quiet_ray()
    end_without_native_clean_up()


def end_without_native_clean_up() -> None:
    """Once Ray and all that comes after this have taken their leave, the process ends there and then: threads of native
    libraries that still run under an interpreter that takes itself apart abort it, with a long complaint."""
    atexit.unregister(shutdown)
    atexit.register(leave)
    atexit.register(shutdown, _exiting_interpreter=True)
    # From here on it is on its way; Ray's handler would raise SystemExit into whatever cleans up.
    threads: Any = threading  # its hooks come before all of atexit's
    threads._register_atexit(signal.signal, signal.SIGTERM, signal.SIG_IGN)


def leave() -> None:
    """With the standard library's own clean-up: what was registered before is not called any more."""
    processes: Any = multiprocessing.util
    finalizers: Any = weakref.finalize
    for clean_up in (processes._exit_function, finalizers._exitfunc, logging.shutdown):
        with contextlib.suppress(Exception):
            clean_up()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)  # nobody looks at a worker's exit status


def quiet_ray() -> None:
    for logger, text in SAID_WITHOUT_NEED.items():
        logging.getLogger(logger).addFilter(is_not(text))
    # This one is named by its file, which takes it out of Ray Train's own log level.
    reports = str(Path(ray.__file__).parent / "train" / "v2" / "_internal" / "execution" / "context.py")
    logging.getLogger(reports).addFilter(is_not("Reporting training result"))
    if not os.environ.get("RSPNET_TRACEBACK"):
        for logger in (*TELL_WHERE_TASKS_FAILED, reports):
            logging.getLogger(logger).addFilter(is_not_of_a_store)


def is_not(text: str) -> logging.Filter:
    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return text not in record.getMessage()

    return Filter()


def is_not_of_a_store(record: logging.LogRecord) -> bool:
    """False for what tells of a StorageError, by its name: Ray hands on exceptions that inherit from both."""
    error = record.exc_info[1] if record.exc_info else None
    names = {each.__name__ for each in type(error).__mro__}
    return "StorageError" not in names and "StorageError: cannot" not in record.getMessage()
