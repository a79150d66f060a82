"""How a run's checkpoints are validated while it trains."""

from dataclasses import dataclass
from typing import Literal, get_args

ValidationProtocol = Literal["knn", "retrieval", "none"]
Registered = Literal["last", "best"]


@dataclass(frozen=True, kw_only=True)
class ValidationOptions:
    """Beside training, a task on CPUs of its own encodes a few of the training videos with a checkpoint's frozen
    encoder, looks for each among the others, and measures whether features have collapsed. Test videos choose nothing.

    `protocol`: "knn" or "retrieval" score checkpoints by their top-1, where videos are labelled; the best checkpoint
    stays beside the latest. "none" validates nothing.

    `max_num_videos`: as many of each class as of any other, the same each time; `num_clips` of each.

    `every_num_checkpoints`: of the checkpoints, so many make one to validate, and the last one always is.
    `each_in_turn`: True lets checkpoints wait for the validation before them, and the run's end for all; False leaves
    out a checkpoint whose turn comes meanwhile.

    `registers`: which encoder the run registers at its end, the "last" or the "best".

    A run that trains in the job's own process does that between two steps, on all cores, and leaves out none.

    `num_cpus`, `num_gpus`: of the task. A cluster without room for it goes without validation, unless `each_in_turn` or
    `registers` asks for it: then it is refused.
    """

    protocol: ValidationProtocol = "knn"
    max_num_videos: int = 256
    num_clips: int = 1
    every_num_checkpoints: int = 1
    each_in_turn: bool = False
    registers: Registered = "last"
    num_cpus: float = 0.5
    num_gpus: float = 0.0

    def __post_init__(self) -> None:
        for name, accepted in (("protocol", ValidationProtocol), ("registers", Registered)):
            if getattr(self, name) not in get_args(accepted):
                raise ValueError(
                    f"validation.{name} is {getattr(self, name)!r}; accepted are {', '.join(get_args(accepted))}"
                )
        for name, least in (("max_num_videos", 2), ("num_clips", 1), ("every_num_checkpoints", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"validation.{name} is {getattr(self, name)}; accepted are whole numbers from {least} on"
                )
        if not self.num_cpus > 0 or not self.num_gpus >= 0:
            raise ValueError(
                f"validation.num_cpus is {self.num_cpus} and num_gpus {self.num_gpus}; accepted are numbers above 0, "
                "and from 0 on"
            )
        if self.protocol == "none" and self.is_asked_for:
            raise ValueError(
                "validation.protocol is 'none', and validation.each_in_turn or registers asks for the scores of "
                "checkpoints; accepted there are knn and retrieval"
            )

    @property
    def objective(self) -> str | None:
        """The metric that scores checkpoints; higher is better. Not the evaluation's `validation/retrieval_top1`, which
        looks for test videos and decides on the champion."""
        return None if self.protocol == "none" else f"validation/train_{self.protocol}_top1"

    @property
    def is_asked_for(self) -> bool:
        """Whether a run is something else without its validation."""
        return self.each_in_turn or self.registers == "best"
