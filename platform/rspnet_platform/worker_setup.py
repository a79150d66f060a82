"""What each of our Ray processes does first: leave out what Ray says without need."""

import logging

SAID_WITHOUT_NEED = {
    # Every second: a local cluster has no dashboard to ask.
    "ray.train.v2._internal.execution.controller.placement_group_cleaner": "State API may be temporarily",
    "ray.train.v2._internal.execution.context": "Reporting training result",
    # Ray Data's bars are off, as they should be beside ours.
    "ray.data._internal.progress": "Progress bars disabled",
    "ray.data._internal.execution.streaming_executor": "execution finished in",
    # The token is this process's own; there is nothing to do.
    "ray._private.authentication.authentication_token_setup": "Token authentication is enabled",
}
"""By the logger that says it. What else these say comes through."""


def quiet_ray() -> None:
    for logger, text in SAID_WITHOUT_NEED.items():
        logging.getLogger(logger).addFilter(is_not(text))


def is_not(text: str) -> logging.Filter:
    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return text not in record.getMessage()

    return Filter()
