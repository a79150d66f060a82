"""Asynchronous successive halving that asks a trial to stop instead of killing it (Li et al., MLSys 2020, arXiv
1810.05934)."""

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from rspnet_platform.sweep.trial_record import TrialRecord

NUM_SAMPLES, SCORE, NUMBER = "num_samples", "score", "number"


class CooperativeAsha(FIFOScheduler):
    """Ray's own ASHA decides, by what a trial scored after so many samples: so trials of other batch sizes compare.
    `ask_to_stop` is told of a trial that is to stop, which goes on until it has read that.

    Killed by Tune inside `TorchTrainer.fit()`, a trial leaves its placement group behind wherever Ray's dashboard does
    not answer, and the next trial waits for ever.
    """

    def __init__(self, *, first_rung: int, reduction_factor: int, ask_to_stop: Callable[[int, str], None]) -> None:
        super().__init__()
        self._asha = ASHAScheduler(
            time_attr=NUM_SAMPLES,
            metric=SCORE,
            mode="max",
            max_t=2**62,  # a trial knows its own end
            grace_period=first_rung,
            reduction_factor=reduction_factor,
        )
        self._ask_to_stop = ask_to_stop
        self._known: set[int] = set()

    def replay(self, records: Iterable[TrialRecord]) -> None:
        """What earlier drivers of the sweep have seen: nobody is asked to stop."""
        for record in records:
            for score in record.scores:
                self.decide(record.number, score.num_samples, score.objective)

    def decide(self, number: int, num_samples: int, score: float) -> str:
        """STOP for a trial that is below the best of those that came to this rung."""
        nobody: Any = None  # ASHA asks its trials for nothing but their ids
        trial: Any = SimpleNamespace(trial_id=number)
        if number not in self._known:
            self._known.add(number)
            self._asha.on_trial_add(nobody, trial)
        return self._asha.on_trial_result(nobody, trial, {NUM_SAMPLES: num_samples, SCORE: score})

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict) -> str:  # noqa: ARG002
        if SCORE in result:
            decision = self.decide(result[NUMBER], result[NUM_SAMPLES], result[SCORE])
            if decision == TrialScheduler.STOP:
                self._ask_to_stop(
                    result[NUMBER], f"others scored more than {result[SCORE]:.4g} at {result[NUM_SAMPLES]} samples"
                )
        return TrialScheduler.CONTINUE
