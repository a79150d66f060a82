"""What a setting may be in a sweep. Numbers between bounds, or one of a few values. Costs no optuna."""

import json
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """Any number from `low` to `high`, all alike."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_bounds("uniform", self.low, self.high)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """What the config must accept for all of the space to be accepted."""
        return (self.low, self.high)

    def at(self, fraction: float) -> float:
        """The value below which `fraction` of the draws lie."""
        return min(self.low + fraction * (self.high - self.low), self.high)

    def to_json(self) -> list[Any]:
        return ["uniform", self.low, self.high]


@dataclass(frozen=True, kw_only=True)
class LogUniform:
    """Any number from `low` to `high`, each order of magnitude alike."""

    low: float
    high: float

    def __post_init__(self) -> None:
        check_bounds("loguniform", self.low, self.high)
        if self.low <= 0:
            raise ValueError(f"loguniform from {self.low}; accepted are bounds above 0")

    @property
    def extremes(self) -> tuple[Any, ...]:
        return (self.low, self.high)

    def at(self, fraction: float) -> float:
        logarithm = math.log(self.low) + fraction * math.log(self.high / self.low)
        return min(max(math.exp(logarithm), self.low), self.high)

    def to_json(self) -> list[Any]:
        return ["loguniform", self.low, self.high]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of `values`; the only space that a grid can be made of."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("choice has no values; accepted are one or more")
        if len({json.dumps(value) for value in self.values}) < len(self.values):
            raise ValueError(f"choice has a value twice: {list(self.values)}; accepted are different ones")

    @property
    def extremes(self) -> tuple[Any, ...]:
        return self.values

    def at(self, fraction: float) -> Any:
        return self.values[min(int(fraction * len(self.values)), len(self.values) - 1)]

    def to_json(self) -> list[Any]:
        return ["choice", *self.values]


Space = Uniform | LogUniform | Choice

FORMS = "KEY=uniform:LOW:HIGH, KEY=loguniform:LOW:HIGH and KEY=choice:VALUE,VALUE,..."


def check_bounds(name: str, low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{name} from {low} to {high}; accepted are finite bounds, the lower one first")


def parse_spaces(entries: tuple[str, ...]) -> dict[str, Space]:
    """`KEY=FORM` of the command line, by key. Raises ValueError for another form, and for a key given twice."""
    spaces: dict[str, Space] = {}
    for entry in entries:
        key, equals, form = entry.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ValueError(f"--search {entry!r}; accepted are {FORMS}")
        if key in spaces:
            raise ValueError(f"--search {key} is given twice; accepted is one space for each key")
        try:
            spaces[key] = parse_space(form)
        except ValueError as error:
            raise ValueError(f"--search {entry}: {error}") from error
    return spaces


def parse_space(form: str) -> Space:
    kind, _, rest = form.partition(":")
    if kind == "choice":
        return Choice(values=parse_values(rest))
    if kind not in ("uniform", "loguniform"):
        raise ValueError(f"{form!r} is no space; accepted are {FORMS}")
    try:
        low, high = (float(bound) for bound in rest.split(":"))
    except ValueError as error:
        raise ValueError(f"{rest!r} are no bounds; accepted are two numbers, LOW:HIGH") from error
    return Uniform(low=low, high=high) if kind == "uniform" else LogUniform(low=low, high=high)


def parse_values(text: str) -> tuple[Any, ...]:
    """`0.1,0.2`, `[1,2],[1,3]` and `true,null` as JSON has them; anything else as words."""
    try:
        return tuple(json.loads(f"[{text}]"))
    except ValueError:
        return tuple(word.strip() for word in text.split(",") if word.strip())
