"""A sweep's command line and spaces: what is tried, and what is refused before anything starts."""

import math
from dataclasses import replace

import pytest
from rspnet_platform.config import flatten
from rspnet_platform.sweep.dotted_keys import with_parameters
from rspnet_platform.sweep.search import SweepConfig, parse_sweep
from rspnet_platform.sweep.spaces import Choice, LogUniform, Uniform, parse_space, parse_spaces

from jobs.recipe_files.tiny import tiny_cpu
from jobs.recipes import RECIPES
from jobs.searches import SEARCHES


def parse(*arguments: str):
    return parse_sweep(SEARCHES, RECIPES, arguments)


@pytest.mark.parametrize("name", [name for name in SEARCHES if name != "custom"])
def test_every_named_search_fits_its_recipe(name):
    """Its keys exist, and the config takes the ends of its ranges."""
    assert parse(name).space


def test_a_search_takes_another_recipe_and_dotted_keys():
    """The second word is the recipe; the keys of jobs/pretrain.py change it, and hyphens are underscores."""
    job = parse("loss-ratio", "rspnet-c3d", "--training.num-epochs", "3", "--sweep.num-trials", "5")
    assert job.recipe.task.encoder == "c3d"
    assert job.recipe.training.num_epochs == 3
    assert (job.num_trials, job.sweep.name) == (5, "loss_ratio")


def test_keys_of_the_command_line_join_or_replace_those_of_the_search():
    """A named search is a beginning."""
    job = parse("margin", "--search", "task.ranking_margin=choice:0.1,0.2", "task.head=choice:linear,mlp")
    assert job.space == {
        "task.ranking_margin": Choice(values=(0.1, 0.2)),
        "task.head": Choice(values=("linear", "mlp")),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["margn"], "did you mean margin"),
        ([], "no search is named"),
        (["margin", "tiny_cpuu"], "did you mean tiny_cpu"),
        (["margin", "tiny_cpu", "more"], "'more' is not understood"),
        (["margin", "tiny_cvrl"], "no 'task.ranking_margin' to search in tiny_cvrl"),
        (["loss_ratio", "tiny_cvrl"], "tiny_cvrl has no task.instance_weight"),
        (["custom"], "there is nothing to search"),
        (["custom", "--search", "task.temprature=uniform:0.1:1"], "the nearest are task.temperature"),
        (["custom", "--search", "training.seed=choice:1,2"], "no 'training.seed' to search"),
        (["custom", "--search", "data.split=choice:train"], "no 'data.split' to search"),
        (["custom", "--search", "task.temperature=uniform:-1:1"], "temperature is -1.0; accepted are numbers above 0"),
        (["custom", "--search", "task.ranking_margin=uniform:0:3"], "ranking_margin is 3.0"),
        (["custom", "--search", "task.head=choice:linear,lineal"], "Input should be 'linear'"),
        (["custom", "--search", "task.queue_size=uniform:64:128"], "integer"),
        (["custom", "--search", "task.clips.playback_speeds=choice:[1,2],[2]"], "playback_speeds is"),
        (["custom", "--search", "task.temperature"], "accepted are KEY=uniform:LOW:HIGH"),
        (["custom", "--search", "a=choice:1", "a=choice:2"], "a is given twice"),
        (["margin", "--sweep.sampler", "grid"], "no finite values for task.ranking_margin"),
        (["speeds", "--sweep.sampler", "grid", "--sweep.num-trials", "6"], "the grid has 5 points"),
    ],
)
def test_what_cannot_be_searched_is_refused_by_name(arguments, message):
    """One error, before anything starts, with the value and what would be accepted."""
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        parse(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_trials": 0}, "num_trials is 0"),
        ({"reduction_factor": 1}, "reduction_factor is 1"),
        ({"first_rung_fraction": 0.0}, "first_rung_fraction is 0.0"),
        ({"num_seeds": 0}, "num_seeds is 0"),
        ({"sampler": "tpe"}, "sampler is 'tpe'"),
    ],
)
def test_options_out_of_range_are_refused(change, message):
    """With the range that is accepted."""
    with pytest.raises(ValueError, match=message):
        SweepConfig(**change)


@pytest.mark.parametrize(
    "form", ["uniform:2:1", "uniform:1", "uniform:a:b", "uniform:0:inf", "loguniform:0:1", "normal:0:1"]
)
def test_spaces_of_other_forms_are_refused(form):
    """Nothing is guessed."""
    with pytest.raises(ValueError, match="accepted"):
        parse_space(form)


def test_values_to_choose_from_are_read_as_json_or_words():
    """Numbers, lists, booleans and none as JSON has them; a value twice is refused."""
    spaces = parse_spaces(("a=choice:[1,2],[1,3]", "b=choice:true,null,0.5", "c=choice:sgd, lars"))
    assert [space.extremes for space in spaces.values()] == [([1, 2], [1, 3]), (True, None, 0.5), ("sgd", "lars")]
    with pytest.raises(ValueError, match="a value twice"):
        parse_space("choice:1,1")


def test_spaces_are_drawn_from_evenly():
    """A fraction of the draws lies below the value at that fraction; ends are never left."""
    assert Uniform(low=2, high=4).at(0.25) == 2.5
    assert LogUniform(low=0.01, high=1).at(0.5) == pytest.approx(0.1)
    assert [Choice(values=(7, 8, 9)).at(fraction) for fraction in (0, 0.4, 0.99)] == [7, 8, 9]
    assert LogUniform(low=0.003, high=0.7).at(1 - 1e-16) <= 0.7


def test_the_loss_ratio_keeps_the_sum():
    """Both weights move, so that a sweep of the ratio is none of the learning rate."""
    before, after = (flatten(config) for config in (tiny_cpu(), with_parameters(tiny_cpu(), {"loss_ratio": 0.25})))
    keys = ("task.instance_weight", "task.ranking_weight")
    assert math.isclose(sum(before[key] for key in keys), sum(after[key] for key in keys))
    assert math.isclose(after[keys[0]] / after[keys[1]], 0.25)
    assert {key for key in before if before[key] != after[key]} == set(keys)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_is_no_parameter(value):
    """`choice:NaN` is JSON to Python."""
    with pytest.raises(ValueError, match=r"--optimizer\.learning_rate (nan|inf): .*finite number"):
        with_parameters(tiny_cpu(), {"optimizer.learning_rate": value})


def test_parameters_land_where_the_command_line_puts_them():
    """Lists become the field's tuple, whole numbers the field's number; nothing else changes."""
    parameters = {"task.clips.playback_speeds": [1, 4], "optimizer.learning_rate": 1}
    config = with_parameters(tiny_cpu(), parameters)
    assert flatten(config)["task.clips.playback_speeds"] == [1, 4]
    assert isinstance(config.optimizer.learning_rate, float)
    changed = with_parameters(config, {"task.clips.playback_speeds": [1, 2], "optimizer.learning_rate": 0.05})
    assert changed == replace(tiny_cpu())
