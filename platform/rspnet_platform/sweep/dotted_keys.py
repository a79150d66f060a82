"""Values put into a config by the dotted keys of the command line, checked as the config checks them."""

import difflib
import json
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from rspnet_platform.config import TrainingRunConfig, flatten

Config = TypeVar("Config", bound=TrainingRunConfig)

SEARCHABLE = ("task.", "optimizer.", "training.")
NOT_SEARCHABLE = ("training.seed", "training.num_epochs")
"""Repeats have seeds of their own, and trials of different length do not compare."""


def with_parameters(config: Config, parameters: Mapping[str, Any]) -> Config:
    """`config` with each parameter in its place: a dotted key, or `loss_ratio` for the two keys that it stands for.

    Raises ValueError for a key that does not exist, naming the nearest, and for a value that the config refuses."""
    values: dict[str, Any] = {}
    for key, value in parameters.items():
        values |= loss_weights(config, value) if key == LOSS_RATIO else {key: value}
    for key, value in values.items():
        check_key(config, key)
        try:
            config = _with_value(config, key.split("."), value)
        except ValueError as error:
            raise ValueError(f"--{key} {shown(value)}: {error}") from error
    return config


LOSS_RATIO = "loss_ratio"
LOSS_WEIGHTS = ("task.instance_weight", "task.ranking_weight")


def loss_weights(config: TrainingRunConfig, ratio: float) -> dict[str, float]:
    """The two weights of a method with two losses, instance discrimination's over speed ranking's in the given ratio,
    with the sum that they have in `config`: otherwise a sweep of the ratio would be one of the learning rate too."""
    settings = flatten(config)
    for key in LOSS_WEIGHTS:
        if key not in settings:
            raise ValueError(
                f"loss_ratio is of {' and '.join(LOSS_WEIGHTS)}, and {config.recipe} has no {key}; accepted are "
                "recipes of rspnet"
            )
    if not ratio >= 0:
        raise ValueError(f"loss_ratio is {ratio}; accepted are numbers from 0 on")
    total = sum(settings[key] for key in LOSS_WEIGHTS)
    return {LOSS_WEIGHTS[0]: total * ratio / (1 + ratio), LOSS_WEIGHTS[1]: total / (1 + ratio)}


def check_key(config: TrainingRunConfig, key: str) -> None:
    """Raises ValueError for a key that no sweep can search."""
    keys = [name for name in flatten(config) if name.startswith(SEARCHABLE) and name not in NOT_SEARCHABLE]
    if key not in keys:
        near = difflib.get_close_matches(key, [*keys, LOSS_RATIO], n=3, cutoff=0.4)
        raise ValueError(
            f"there is no {key!r} to search in {config.recipe}; "
            + (f"the nearest are {', '.join(near)}" if near else f"accepted are {', '.join(keys)}")
        )


def _with_value(config: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    part = getattr(config, name)
    if rest:
        return replace(config, **{name: _with_value(part, rest, value)})
    return replace(config, **{name: _of_the_fields_type(config, name, value)})


def _of_the_fields_type(config: Any, name: str, value: Any) -> Any:
    """JSON's list as the field's tuple, a word as its number; never half a number for a whole one."""
    hint = typing.get_type_hints(type(config))[name]
    try:
        return TypeAdapter(hint, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        accepted = {str(problem["msg"]) for problem in error.errors()}
        raise ValueError(f"{'; '.join(sorted(accepted))}") from error


def shown(value: Any) -> str:
    """A value as it is typed."""
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
