"""When features have collapsed: a warning from validated checkpoints, and a stop where training shows it beyond doubt.

Measured with the tiny encoder: random initialisation has an effective rank of 35, a healthy run falls to 7 on its way,
one with a learning rate a thousand times too high to 5.6, and one that has collapsed (weight decay 5) to 1.2. So a rank
that is merely low says little; one that has lost nearly all that the random encoder's has above 1 does, also for
encoders whose raw random features lie close together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rspnet_platform.train.watches import CollapsedError, Observation

MIN_RANK_SHARE = 0.05
"""Of what the random initialisation's effective rank has above 1, the rank of equal features."""

MIN_FEATURE_STD = 1e-3
"""In training the tiny encoder's is 0.3 to 0.6, and 0 where all features are equal."""

NUM_LOOKS = 5
"""In a row, before a run is stopped: batch norm comes to itself again after a bad step."""


def collapse_seen(metrics: Mapping[str, float]) -> str | None:
    """A warning, for a checkpoint's metrics that tell of collapse."""
    rank, random = metrics["validation/effective_rank"], metrics["validation/random_effective_rank"]
    if rank - 1 >= MIN_RANK_SHARE * (random - 1):
        return None
    return (
        f"the features have collapsed: their effective rank is {rank:.2f}, that of random initialisation "
        f"{random:.2f}; accepted is {1 + MIN_RANK_SHARE * (random - 1):.2f} or more. Look at the learning rate, weight "
        "decay and the weights of the losses"
    )


@dataclass(kw_only=True)
class CollapseWatch:
    """Stops a run whose batches' features are all but equal at several looks in a row."""

    _num_looks: int = field(default=0, init=False)

    def look(self, step: int, metrics: Mapping[str, float]) -> Observation:
        spread = metrics.get("train/feature_std")
        self._num_looks = self._num_looks + 1 if spread is not None and spread < MIN_FEATURE_STD else 0
        if self._num_looks < NUM_LOOKS:
            return Observation()
        return Observation(
            stop_reason=f"the features have collapsed: at step {step}, and for {NUM_LOOKS} looks in a row, "
            f"train/feature_std is {spread:.2g}, where 0 means that all videos look alike; accepted is "
            f"{MIN_FEATURE_STD:g} or more. The last checkpoint stays. Take another --run.name with another learning "
            "rate, weight decay or weights of the losses: the same run would come to the same step",
            error=CollapsedError,
        )
