"""What a trial is to try: a pure function of the sweep's seed, the trial's number and what came of the others.

Nothing of a sampler has to outlive the driver: whoever has the sweep's records gets the next suggestion from them.
"""

import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rspnet_core.random_streams import random_stream
from rspnet_platform.sweep.search import Sampler
from rspnet_platform.sweep.spaces import Choice, LogUniform, Space
from rspnet_platform.sweep.trial_record import TrialRecord

if TYPE_CHECKING:
    import optuna

NUM_RANDOM_FIRST = 6
"""Trials that Optuna draws at random before it learns from them."""


def suggest(
    space: Mapping[str, Space], sampler: Sampler, *, seed: int, number: int, others: Sequence[TrialRecord]
) -> dict[str, Any]:
    """The parameters of trial `number`, by key of `space`. `others` are all trials there are yet: Optuna's sampler
    alone looks at them."""
    if sampler == "grid":
        points = itertools.product(*(each.extremes for each in space.values()))
        return dict(zip(space, next(itertools.islice(points, number, None)), strict=True))
    generator = random_stream(seed, 0, number, "sweep parameters")
    if sampler == "random":
        return {key: each.at(generator.random()) for key, each in space.items()}
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # constant_liar is said to be one
        study = study_of(
            space,
            others,
            sampler=optuna.samplers.TPESampler(
                seed=int(generator.integers(2**32)), n_startup_trials=NUM_RANDOM_FIRST, constant_liar=True
            ),
        )
        asked = study.ask(distributions(space))
    return {key: value_of(space[key], value) for key, value in asked.params.items()}


def study_of(
    space: Mapping[str, Space], trials: Sequence[TrialRecord], sampler: "optuna.samplers.BaseSampler | None" = None
) -> "optuna.Study":
    """The trials as Optuna knows them; those that failed say nothing of their parameters."""
    import optuna

    # Optuna says each study that it makes.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    scales = distributions(space)
    for trial in trials:
        is_running = trial.state == "running"
        if set(trial.parameters) != set(space) or (trial.value is None and not is_running):
            continue
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING if is_running else optuna.trial.TrialState.COMPLETE,
                params={key: token_of(space[key], value) for key, value in trial.parameters.items()},
                distributions=scales,
                value=None if is_running else trial.value,
            )
        )
    return study


def distributions(space: Mapping[str, Space]) -> "dict[str, optuna.distributions.BaseDistribution]":
    import optuna

    def distribution(each: Space) -> "optuna.distributions.BaseDistribution":
        if isinstance(each, Choice):  # by place: Optuna takes no lists for values
            return optuna.distributions.CategoricalDistribution(tuple(range(len(each.values))))
        return optuna.distributions.FloatDistribution(each.low, each.high, log=isinstance(each, LogUniform))

    return {key: distribution(each) for key, each in space.items()}


def value_of(space: Space, token: Any) -> Any:
    return space.values[token] if isinstance(space, Choice) else token


def token_of(space: Space, value: Any) -> Any:
    """The value's place among those to choose from; a record has lists where a search has tuples."""
    if not isinstance(space, Choice):
        return value
    return [json.dumps(each) for each in space.values].index(json.dumps(value))
