"""Searches by name. Each is a function that returns a recipe and a space; its docstring says what it looks for.

The first line of a docstring is what `python jobs/sweep.py --help` shows. Every search takes another recipe, the second
argument of the command line, where that has the keys.
"""

from collections.abc import Callable

from rspnet_platform.sweep.search import Search
from rspnet_platform.sweep.spaces import Choice, LogUniform, Uniform

from jobs.recipe_files.tiny import tiny_cpu

MARGIN, TEMPERATURE, RATE = "task.ranking_margin", "task.temperature", "optimizer.learning_rate"


def rspnet() -> Search:
    """Margin, temperature and the ratio of the two loss weights together: which of them matters, and where.

    The published margin is 0.14 (of cosines), the temperature 0.07, the ratio 0.07; in `tiny_cpu` it is 0.007.
    """
    return Search(
        recipe=tiny_cpu(),
        space={
            MARGIN: Uniform(low=0.02, high=0.6),
            TEMPERATURE: LogUniform(low=0.03, high=0.5),
            "loss_ratio": LogUniform(low=0.002, high=2.0),
        },
    )


def margin() -> Search:
    """How much nearer a clip of the same speed has to be: the margin of speed ranking, in cosines."""
    return Search(recipe=tiny_cpu(), space={MARGIN: Uniform(low=0.02, high=0.6)})


def temperature() -> Search:
    """How sharply instances are told apart: the temperature of instance discrimination."""
    return Search(recipe=tiny_cpu(), space={TEMPERATURE: LogUniform(low=0.03, high=0.5)})


def loss_ratio() -> Search:
    """Appearance against speed: the weight of instance discrimination over that of speed ranking, their sum fixed."""
    return Search(recipe=tiny_cpu(), space={"loss_ratio": LogUniform(low=0.002, high=2.0)})


def learning_rate() -> Search:
    """The learning rate, over three orders of magnitude: the highest may diverge, which counts against them."""
    return Search(recipe=tiny_cpu(), space={RATE: LogUniform(low=0.001, high=1.0)})


def speeds() -> Search:
    """Which playback speeds are told apart: two close ones, two far ones, or more than two."""
    values = ([1, 2], [1, 3], [1, 4], [2, 4], [1, 2, 4])
    return Search(recipe=tiny_cpu(), space={"task.clips.playback_speeds": Choice(values=values)})


def custom() -> Search:
    """Nothing but what `--search KEY=SPACE` names."""
    return Search(recipe=tiny_cpu())


SEARCHES: dict[str, Callable[[], Search]] = {
    search.__name__: search for search in (rspnet, margin, temperature, loss_ratio, learning_rate, speeds, custom)
}
