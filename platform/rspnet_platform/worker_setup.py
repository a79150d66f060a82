"""What each of our Ray processes does first: leave out what Ray says without need."""

import logging
from pathlib import Path

import ray

SAID_WITHOUT_NEED = {
    # Every second: a local cluster has no dashboard to ask.
    "ray.train.v2._internal.execution.controller.placement_group_cleaner": "State API may be temporarily",
    # Ray Data's bars are off, as they should be beside ours.
    "ray.data._internal.progress": "Progress bars disabled",
    "ray.data._internal.execution.streaming_executor": "execution finished in",
    # A store that stays away: the job ends with that very message.
    "ray.train.v2._internal.execution.controller.controller": "Error in control loop iteration: cannot ",
    # The token is this process's own; there is nothing to do.
    "ray._private.authentication.authentication_token_setup": "Token authentication is enabled",
}
"""By the logger that says it. What else these say comes through."""


def quiet_ray() -> None:
    for logger, text in SAID_WITHOUT_NEED.items():
        logging.getLogger(logger).addFilter(is_not(text))
    # This one is named by its file, which takes it out of Ray Train's own log level.
    reports = Path(ray.__file__).parent / "train" / "v2" / "_internal" / "execution" / "context.py"
    logging.getLogger(str(reports)).addFilter(is_not("Reporting training result"))


def is_not(text: str) -> logging.Filter:
    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return text not in record.getMessage()

    return Filter()
