"""A search: a recipe, and what of it is tried. Its options, and both as one command line."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import prod
from typing import Literal, get_args

import tyro

from rspnet_platform.config import PretrainConfig
from rspnet_platform.sweep.spaces import Choice, Space, parse_spaces

Sampler = Literal["random", "grid", "optuna"]
NUM_TRIALS = 12
"""Unless something else is said."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search's function returns; its docstring says what it looks for. `space`: by dotted key of the recipe, or
    `loss_ratio`."""

    recipe: PretrainConfig
    space: Mapping[str, Space] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """`name` with `storage` is the sweep: the same pair again goes on with it. None takes the search's name, and the
    folder `sweeps` below the home folder.

    `num_trials`: none takes 12, or all of a grid. `num_trial_epochs`: of each trial and repeat; none takes
    the recipe's own. `sampler`: "optuna" learns from the trials before (TPE). `max_concurrent_trials`: none takes as
    many as fit into the cluster.

    `reduction_factor`: asynchronous successive halving lets one of so many trials go on at each rung, the first at
    `first_rung_fraction` of a trial's samples; 0 stops none early.

    `num_videos`: trials and repeats train on so many videos, drawn from the recipe's; none takes them all.
    `num_packed_samples`: of each video, decoded once for all trials and repeats, which have them in turn where they
    have more epochs; 0 lets each trial decode its own.

    `num_retries`: of a trial that failed. What diverged or collapsed is not tried again: it counts against its
    parameters.

    `num_repeated`: the best trials are repeated with `num_seeds` seeds other than the one that chose them, and the best
    of these is trained for `num_final_epochs` (none takes the recipe's own, 0 leaves it out) and registered.
    """

    name: str | None = None
    storage: str | None = None
    num_trials: int | None = None
    num_trial_epochs: int | None = None
    sampler: Sampler = "random"
    seed: int = 0
    max_concurrent_trials: int | None = None
    reduction_factor: int = 3
    first_rung_fraction: float = 0.25
    num_videos: int | None = None
    num_packed_samples: int = 0
    num_retries: int = 1
    num_repeated: int = 3
    num_seeds: int = 3
    num_final_epochs: int | None = None

    def __post_init__(self) -> None:
        least = {"num_trials": 1, "num_trial_epochs": 1, "max_concurrent_trials": 1, "seed": 0, "num_retries": 0}
        least |= {"num_repeated": 0, "num_seeds": 1, "num_final_epochs": 0, "num_videos": 2, "num_packed_samples": 0}
        for name, lowest in least.items():
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ValueError(f"sweep.{name} is {value}; accepted are whole numbers from {lowest} on")
        if self.sampler not in get_args(Sampler):
            raise ValueError(f"sweep.sampler is {self.sampler!r}; accepted are {', '.join(get_args(Sampler))}")
        if self.reduction_factor == 1 or self.reduction_factor < 0:
            raise ValueError(f"sweep.reduction_factor is {self.reduction_factor}; accepted are 2 or more, and 0")
        if not 0 < self.first_rung_fraction <= 1:
            raise ValueError(f"sweep.first_rung_fraction is {self.first_rung_fraction}; accepted: above 0, 1 at most")


@dataclass(frozen=True, kw_only=True)
class SweepJob:
    """All that a sweep is told."""

    search: str
    recipe: PretrainConfig
    space: Mapping[str, Space]
    sweep: SweepConfig

    def __post_init__(self) -> None:
        if not self.space:
            raise ValueError("there is nothing to search; accepted is --search KEY=SPACE, or a search with a space")
        if self.sweep.sampler == "grid":
            self._check_grid()

    def _check_grid(self) -> None:
        endless = [key for key, space in self.space.items() if not isinstance(space, Choice)]
        if endless:
            raise ValueError(f"a grid has no finite values for {', '.join(endless)}; accepted is KEY=choice:VALUE,...")
        if self.sweep.num_trials is not None and self.sweep.num_trials > self.num_grid_points:
            raise ValueError(
                f"sweep.num_trials is {self.sweep.num_trials}, and the grid has {self.num_grid_points} points; "
                "accepted are as many at the most, and none for all"
            )

    @property
    def num_grid_points(self) -> int:
        return prod(len(space.extremes) for space in self.space.values())

    @property
    def num_trials(self) -> int:
        return self.sweep.num_trials or (self.num_grid_points if self.sweep.sampler == "grid" else NUM_TRIALS)


@dataclass(frozen=True, kw_only=True)
class SweepArguments(PretrainConfig):
    """A recipe's own keys, and the sweep's beside them. `search`: KEY=SPACE, as often as wanted; it adds to what the
    named search looks through, or takes its place."""

    sweep: SweepConfig = field(default_factory=SweepConfig)
    search: tuple[str, ...] = ()


def parse_sweep(
    searches: Mapping[str, Callable[[], Search]],
    recipes: Mapping[str, Callable[[], PretrainConfig]],
    arguments: Sequence[str],
) -> SweepJob:
    """`SEARCH [RECIPE] --dotted.key value ...`. Raises ValueError for names that do not exist, naming those that do,
    and for what cannot be searched."""
    words, rest = [], list(arguments)
    while rest and not rest[0].startswith("-"):
        words.append(rest.pop(0).replace("-", "_"))
    if not words and not {"-h", "--help"} & set(rest):
        raise ValueError(f"no search is named; accepted are {', '.join(searches)}")
    name = words[0] if words else next(iter(searches))
    search = named("search", searches, name)()
    if len(words) > 2:
        raise ValueError(f"{' '.join(words[2:])!r} is not understood; accepted are SEARCH, RECIPE and --key value")
    recipe = named("recipe", recipes, words[1])() if len(words) == 2 else search.recipe
    description = "python jobs/sweep.py SEARCH [RECIPE] --dotted.key value ...\n\nSearches:\n\n" + "\n\n".join(
        f"{each}: {(factory.__doc__ or '').strip().splitlines()[0]}" for each, factory in searches.items()
    )
    defaults = SweepArguments(**{part.name: getattr(recipe, part.name) for part in fields(recipe)})
    parsed = tyro.cli(SweepArguments, default=defaults, args=rest, prog=f"sweep.py {name}", description=description)
    recipe = PretrainConfig(**{part.name: getattr(parsed, part.name) for part in fields(PretrainConfig)})
    job = SweepJob(
        search=name,
        recipe=recipe,
        space={**search.space, **parse_spaces(parsed.search)},
        sweep=replace(parsed.sweep, name=parsed.sweep.name or name),
    )
    check_space(job)
    return job


def named(what: str, factories: Mapping[str, Callable], name: str) -> Callable:
    if name not in factories:
        near = difflib.get_close_matches(name, factories, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"there is no {what} {name!r}{hint} Accepted are {', '.join(factories)}")
    return factories[name]


def check_space(job: SweepJob) -> None:
    """Raises ValueError, before anything starts, for a key that does not exist and for a space that reaches beyond what
    the config accepts."""
    from rspnet_platform.sweep.dotted_keys import LOSS_RATIO, check_key, with_parameters

    for key, space in job.space.items():
        if key != LOSS_RATIO:
            check_key(job.recipe, key)
        for value in (*space.extremes, space.at(1 / 3)):  # between its bounds a whole number would be a fraction
            with_parameters(job.recipe, {key: value})
