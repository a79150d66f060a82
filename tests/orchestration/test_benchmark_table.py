"""The benchmark's numbers: mean and spread over seeds, beside random initialisation, as Markdown, CSV and a picture."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import pytest
from PIL import Image
from rspnet_platform.benchmark.benchmark_config import BenchmarkChoice, BenchmarkConfig
from rspnet_platform.benchmark.encoder_scores import EncoderScores, read_scores, scores_uri
from rspnet_platform.benchmark.plot import draw
from rspnet_platform.benchmark.publish_table import mean_metrics
from rspnet_platform.benchmark.summary import Cost, Row, headlines, summarise
from rspnet_platform.benchmark.table import Heading, csv_of, markdown
from rspnet_platform.benchmark.training_cost import CostWatch, training_seconds
from rspnet_platform.storage import write_json

from jobs.benchmark import parse

RANDOM = "random (tiny, 8 frames of 64, imagenet colours)"
COSTS = {
    "good": Cost(num_steps=1200, num_clips=38_400, training_seconds=150.0),
    "poor": Cost(num_steps=1200, num_clips=38_400, training_seconds=None),
}


def scores_of(row: str, seed: int, top1: float, knn: float) -> EncoderScores:
    return EncoderScores(
        row=row,
        seed=seed,
        encoder="tiny",
        model_sha256=f"{row}-{seed}",
        dataset_sha256="d",
        stamps={"retrieval": "rspnet_paper (as it is)", "knn": "knn (as it is)"},
        numbers={"retrieval": {"top1": top1, "top5": 2 * top1}, "knn": {"k5": knn, "k5_draw_std": 0.01}},
        num_damaged=0,
    )


SCORES = [
    *(scores_of(RANDOM, seed, top1, 0.2) for seed, top1 in enumerate((0.10, 0.20))),
    *(scores_of("good", seed, top1, 0.2) for seed, top1 in enumerate((0.21, 0.35))),
    *(scores_of("poor", seed, top1, 0.3) for seed, top1 in enumerate((0.19, 0.45))),
]
HEADING = Heading(
    name="three",
    dataset="s3://videos, version 2",
    budget="Epochs of each run: 7",
    stamps={of.row: of.stamps for of in SCORES},
    stopped={"worse-seed-0": "the loss is nan at step 3"},
    num_damaged=4,
)


def rows(scores: list[EncoderScores] = SCORES, random_rows: Mapping[str, str] | None = None) -> list[Row]:
    return summarise(scores, random_rows or {"good": RANDOM, "poor": RANDOM}, COSTS)


def test_mean_and_sample_deviation_over_seeds():
    """By hand, of each number of each protocol."""
    good = rows()[1]
    assert good.cells["retrieval", "top1"].mean == pytest.approx(mean([0.21, 0.35]))
    assert good.cells["retrieval", "top1"].std == pytest.approx(stdev([0.21, 0.35]))
    assert good.cells["retrieval", "top5"].values == (0.42, 0.70)
    metrics = mean_metrics(rows())
    assert metrics["benchmark/good/retrieval_top1_mean"] == pytest.approx(0.28)
    assert metrics["benchmark/random tiny 8 frames of 64 imagenet colours/knn_k5_std"] == 0


def test_above_random_means_every_seed_above_every_random_one():
    """A higher mean alone is not enough, and one seed says nothing."""
    random, good, poor = rows()
    assert random.cells["retrieval", "top1"].is_above_random is None
    assert good.cells["retrieval", "top1"].is_above_random
    assert not poor.cells["retrieval", "top1"].is_above_random  # 0.19 < 0.20, though the mean is 0.32
    assert not good.cells["knn", "k5"].is_above_random  # the same numbers
    [_, one_seed] = rows([SCORES[0], SCORES[1], SCORES[3]])
    assert one_seed.cells["retrieval", "top1"].is_above_random is None
    assert one_seed.cells["retrieval", "top1"].std is None


def test_a_recipe_stands_beside_the_random_encoders_of_its_own_kind():
    """Those that see other clips do not count."""
    other = "random (tiny, 16 frames of 64, imagenet colours)"
    more = [scores_of(other, seed, 0.9, 0.9) for seed in range(2)]
    [_, _, good, poor] = rows([*more, *SCORES], {"good": RANDOM, "poor": other})
    assert good.cells["retrieval", "top1"].is_above_random
    assert not poor.cells["retrieval", "top1"].is_above_random


def table_rows(text: str, title: str) -> dict[str, list[str]]:
    """The cells of the first table after `title`, by the name of the row."""
    lines = text[text.index(title) :].splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return {cells[0]: cells[1:] for cells in table}


def test_the_markdown_tables():
    """First numbers and cost, then all numbers of each protocol with its stamp; what is missing is said."""
    text = markdown(rows(), HEADING)
    first = table_rows(text, "# three")
    assert first["pretraining"] == ["retrieval top1", "knn k5", "steps", "clips", "minutes"]
    assert first[RANDOM] == ["15.0 ± 7.1", "20.0 ± 0.0", "0", "0", "0"]
    assert first["good"] == ["28.0 ± 9.9 *", "20.0 ± 0.0", "1,200", "38,400", "2.5"]
    assert first["poor"][-1] == "?"
    retrieval = table_rows(text, "## retrieval")
    assert retrieval["pretraining"] == ["top1", "top5"]
    assert retrieval["good"] == ["28.0 ± 9.9 *", "56.0 ± 19.8 *"]
    assert text.count("rspnet_paper (as it is).") == 1
    assert "- worse-seed-0: the loss is nan at step 3" in text
    assert "Without 4 labelled videos" in text
    assert "draw_std" not in text


def test_stamps_that_differ_are_said_by_row():
    """Kinds that see other clips have protocols of other stamps."""
    other = replace(HEADING, stamps={**HEADING.stamps, "poor": {"retrieval": "of 16 frames", "knn": "knn (as it is)"}})
    text = markdown(rows(), other)
    assert "- poor: of 16 frames" in text
    assert "- good: rspnet_paper (as it is)" in text


def test_the_csv_has_every_number_of_every_encoder():
    """Also the deviations over draws, which no table has."""
    lines = list(csv.DictReader(io.StringIO(csv_of(SCORES))))
    assert len(lines) == len(SCORES) * 4
    of_good = {
        (line["seed"], line["protocol"], line["number"]): line for line in lines if line["pretraining"] == "good"
    }
    assert float(of_good["1", "retrieval", "top5"]["value"]) == 0.70
    assert of_good["0", "knn", "k5_draw_std"]["model_sha256"] == "good-0"


def test_the_picture_grows_with_rows_and_protocols():
    """A panel for each protocol's first number, a line for each row."""
    assert headlines(rows()) == [("retrieval", "top1"), ("knn", "k5")]
    whole = Image.open(io.BytesIO(draw(rows(), "three")))
    fewer_rows = Image.open(io.BytesIO(draw(rows()[:2], "three")))
    one_protocol = [replace(of, numbers={"knn": of.numbers["knn"]}) for of in SCORES]
    narrow = Image.open(io.BytesIO(draw(rows(one_protocol), "three")))
    assert whole.height > fewer_rows.height
    assert whole.width > narrow.width


@pytest.mark.parametrize("changed", ["model_sha256", "dataset_sha256", "stamps"])
def test_scores_of_something_else_are_no_answer(changed):
    """Other weights, another data set, another protocol: asked again."""
    kept = SCORES[0]
    asked = replace(kept, numbers={})
    assert kept.answers(asked)
    assert not kept.answers(replace(asked, **{changed: {"knn": "other"} if changed == "stamps" else "other"}))


def test_scores_of_another_version_are_asked_again(tmp_path):
    """A file that lacks a field, or has one too many, is nobody's error."""
    write_json(scores_uri(str(tmp_path), "old"), {"row": "good", "seed": 0})
    assert read_scores(str(tmp_path), "old") is None
    assert read_scores(str(tmp_path), "none") is None


def test_cost_goes_on_over_launches(tmp_path: Path):
    """What a killed launch has spent is counted; the last step is always written."""
    for launch, last_step in enumerate((20, 30), start=1):
        watch = CostWatch(uri=str(tmp_path), num_steps=30)
        for step in range(5, last_step + 1, 5):
            watch.look(step, {"time/interval_seconds": 2.0})
        if launch == 1:
            assert 2.0 <= (training_seconds(str(tmp_path)) or 0) <= 8.0
            write_json(str(tmp_path / "training_cost.json"), {"training_seconds": 8.0})
    assert training_seconds(str(tmp_path)) == 8.0 + 12.0
    assert training_seconds(str(tmp_path / "other")) is None


def test_one_command_line_changes_all_recipes():
    """Keys that are not the benchmark's own are every recipe's; hyphens are underscores; `random` is no run."""
    config = parse(["--recipes", "random", "tiny-cpu", "tiny_cvrl", "--training.num-epochs", "3", "--num-seeds", "2"])
    assert list(config.configs) == ["tiny_cpu", "tiny_cvrl"]
    assert {each.training.num_epochs for each in config.configs.values()} == {3}
    run = config.of_seed("tiny_cvrl", 1, storage="/somewhere")
    assert (run.training.seed, run.run.name, run.run.storage) == (1, "tiny_cvrl-seed-1", "/somewhere")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--recipes", "tiny_cpuu"], "there is no recipe 'tiny_cpuu'; accepted are tiny_cpu"),
        (
            ["--recipes", "tiny_cpu", "cvrl_r3d50"],
            r"differ in training.num_epochs: tiny_cpu 60, cvrl_r3d50 \d+; accepted is one budget",
        ),
    ],
)
def test_recipes_that_cannot_be_compared_are_refused(arguments, complaint):
    """One error that names the value and what would be accepted."""
    with pytest.raises(ValueError, match=complaint):
        parse(arguments)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"recipes": ("random",)}, "recipes is 'random'; accepted are one or more of jobs/pretrain.py's"),
        ({"num_seeds": 0}, "num_seeds is 0; accepted are whole numbers from 1 on"),
        ({"protocols": ("votes",)}, "protocol is 'votes'; accepted are rspnet_paper"),
    ],
)
def test_choices_without_an_answer_are_refused(values, complaint):
    """Before anything is trained."""
    with pytest.raises(ValueError, match=complaint):
        BenchmarkChoice(**({"recipes": ("tiny_cpu",)} | values))


def test_a_key_that_a_recipe_lacks_is_refused(capsys):
    """Never ignored: it names the recipe that does not know it."""
    with pytest.raises(SystemExit):
        parse(["--recipes", "tiny_cpu", "tiny_cvrl", "--task.queue-size", "16"])
    assert "tiny_cvrl" in capsys.readouterr().err


def test_equal_budgets_are_checked_where_configs_are_built():
    """Not only on the command line."""
    config = parse(["--recipes", "tiny_cpu", "tiny_moco"])
    longer = replace(config.first, training=replace(config.first.training, num_epochs=61))
    with pytest.raises(ValueError, match="accepted is one budget for all"):
        BenchmarkConfig(choice=BenchmarkChoice(recipes=("tiny_cpu",)), configs=dict(config.configs) | {"a": longer})
