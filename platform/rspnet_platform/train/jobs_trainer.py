"""Ray Train, which leaves signals to the job."""

from typing import Any

from ray.train.torch import TorchTrainer


class JobsTrainer(TorchTrainer):
    """Ray Train would take Ctrl-C for itself, never give it back, and end the job without a word, with status 1. (A
    test fails where a new version of Ray no longer calls this.)"""

    def _register_sigint_handler(self, controller: Any) -> None:
        """`stop_requests.py` has it."""
