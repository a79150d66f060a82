"""What is told of each checkpoint that has been validated."""

from collections.abc import Mapping
from typing import Protocol


class ValidationListener(Protocol):
    """Travels to the validation task, and is called there with the checkpoint's step, the number of samples that it
    was trained on, and its metrics."""

    def on_validation(self, step: int, num_samples: int, metrics: Mapping[str, float]) -> None: ...
