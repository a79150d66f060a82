"""What each of our Ray processes does first: know its own cluster, and leave out what Ray says without need."""

import logging
import os
from pathlib import Path

import ray

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
