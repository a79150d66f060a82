"""What a sweep goes on from: suggestions that need nothing but the records, stops by hand, and the table."""

from dataclasses import replace
from functools import partial

import pytest
from rspnet_platform.sweep.cooperative_asha import CooperativeAsha
from rspnet_platform.sweep.plots import draw_all
from rspnet_platform.sweep.spaces import Choice, LogUniform, Uniform
from rspnet_platform.sweep.suggestions import NUM_RANDOM_FIRST, study_of, suggest
from rspnet_platform.sweep.summary import Row, as_csv, as_markdown, best_trials, importances, rows_of
from rspnet_platform.sweep.sweeping import unfinished
from rspnet_platform.sweep.trial_record import Score, TrialBook, TrialRecord, load_record

SPACE = {
    "margin": Uniform(low=0, high=1),
    "rate": LogUniform(low=0.01, high=1),
    "speeds": Choice(values=((1, 2), (1, 3))),
}


def score(objective: float, step: int = 10) -> Score:
    return Score(step=step, num_samples=32 * step, objective=objective, random=0.1)


def trial(number: int, objective: float | None = None, **changes) -> TrialRecord:
    """A finished one, with its score."""
    record = TrialRecord(
        number=number,
        kind="search",
        parameters={"margin": number / 10, "rate": 0.1, "speeds": [1, 2 + number % 2]},
        seed=0,
        state="finished",
        scores=() if objective is None else (score(objective),),
    )
    return replace(record, **changes)


@pytest.mark.parametrize("sampler", ["random", "optuna"])
def test_a_suggestion_needs_nothing_but_the_records(sampler):
    """Asked again, after a kill, the same number gets the same; another number something else."""
    others = [trial(number, number / 10) for number in range(NUM_RANDOM_FIRST + 1)]
    first, again, next_one = (suggest(SPACE, sampler, seed=3, number=n, others=others) for n in (7, 7, 8))
    assert first == again != next_one
    assert first != suggest(SPACE, sampler, seed=4, number=7, others=others)
    assert 0 <= first["margin"] <= 1
    assert 0.01 <= first["rate"] <= 1


def test_a_grid_has_each_point_once():
    """In the order of the search."""
    space = {"a": Choice(values=(1, 2)), "b": Choice(values=("x", "y", "z"))}
    points = [suggest(space, "grid", seed=0, number=number, others=[]) for number in range(6)]
    assert points[:4] == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 1, "b": "z"}, {"a": 2, "b": "x"}]
    assert len({tuple(point.items()) for point in points}) == 6


def test_optuna_learns_from_the_records():
    """Where margins near 0.3 score best, it asks more there than chance would; trials still running are no scores."""
    others: list[TrialRecord] = []
    for number in range(30):
        parameters = suggest(SPACE, "optuna", seed=0, number=number, others=[*others, trial(9, state="running")])
        value = 1 - abs(parameters["margin"] - 0.3)
        others.append(trial(number, value, parameters=parameters))
    near = [abs(record.parameters["margin"] - 0.3) < 0.2 for record in others[NUM_RANDOM_FIRST:]]
    assert sum(near) / len(near) > 0.6


def test_divergence_counts_against_its_parameters_and_failure_does_not():
    """The first is the worst score to the sampler, whatever it scored before; the second is not told."""
    trials = [trial(0, 0.9, state="diverged"), trial(1, 0.2), trial(2, 0.5, state="failed"), trial(3, state="running")]
    study = study_of(SPACE, trials)
    assert [(each.params["margin"], each.value) for each in study.trials] == [(0.0, 0.0), (0.1, 0.2), (0.3, None)]


def test_records_come_back_as_they_were_saved(tmp_path):
    """Parameters, scores and failures; what is no record is left alone."""
    book = TrialBook.load(str(tmp_path))
    record = trial(3, 0.5, failures=("out of memory",), mlflow_run_id="abc")
    book.save(record)
    assert TrialBook.load(str(tmp_path)).trials == {3: record}
    assert load_record(str(tmp_path), 3) == record


def test_a_step_scored_twice_has_its_newest_score():
    """A run that was killed and goes on validates its last checkpoint again."""
    record = trial(0, 0.1).with_score(score(0.3, step=20)).with_score(score(0.2, step=10))
    assert [(each.step, each.objective) for each in record.scores] == [(10, 0.2), (20, 0.3)]
    assert record.value == 0.3


def test_a_resumed_sweep_repeats_nothing_that_has_ended(tmp_path):
    """Trials that were running come first; those that finished, failed or were stopped are not run again."""
    book = TrialBook.load(str(tmp_path))
    for record in (trial(0, 0.1), trial(1, 0.1, state="failed"), trial(3, state="running"), trial(2, state="diverged")):
        book.save(record)
    assert unfinished(book, range(6)) == [3, 4, 5]


def asha(asked: list[tuple[int, str]]) -> CooperativeAsha:
    return CooperativeAsha(first_rung=100, reduction_factor=3, ask_to_stop=lambda *words: asked.append(words))


def report(scheduler: CooperativeAsha, number: int, num_samples: int, objective: float) -> str:
    result = {"number": number, "num_samples": num_samples, "score": objective}
    return scheduler.on_trial_result(None, None, result)


def test_the_worst_of_a_rung_are_asked_to_stop():
    """By hand: of rung 100 the best third goes on. The first two have nobody to be worse than, or are best; 0.3 is
    below what two thirds of 0.5 and 0.6 lie under. Tune itself never stops a trial."""
    asked: list[tuple[int, str]] = []
    scheduler = asha(asked)
    decisions = [report(scheduler, *words) for words in ((0, 90, 0.0), (0, 100, 0.5), (1, 120, 0.6), (2, 100, 0.3))]
    assert decisions == ["CONTINUE"] * 4
    assert [number for number, _ in asked] == [2]
    assert "0.3 at 100 samples" in asked[0][1]
    report(scheduler, 1, 300, 0.1)  # the first to reach the next rung
    assert len(asked) == 1
    report(scheduler, 0, 310, 0.05)
    assert [number for number, _ in asked] == [2, 0]


def test_a_rung_remembers_the_trials_before_a_kill():
    """Replayed scores decide on later trials as if nothing had happened, and ask nobody themselves."""
    asked: list[tuple[int, str]] = []
    scheduler = asha(asked)
    scheduler.replay([trial(number, value) for number, value in enumerate((0.8, 0.9, 0.1))])
    assert asked == []
    report(scheduler, 0, 330, 0.0)  # has passed its rung, and leaves nothing more there
    report(scheduler, 5, 330, 0.2)  # above that, below what two thirds of the replayed lie under
    assert [number for number, _ in asked] == [5]


@pytest.fixture
def book(tmp_path) -> TrialBook:
    """Four whole trials, of which 2 scored best and 1 repeats best, and one of each other end."""
    book = TrialBook.load(str(tmp_path / "trials"))
    for number, value in enumerate((0.3, 0.5, 0.6, 0.1)):
        book.save(trial(number, value))
    for number, state in enumerate(("stopped early", "diverged", "failed"), start=4):
        book.save(trial(number, 0.05, state=state))
    book.save(trial(7, state="failed"))
    repeats = {1: (0.55, 0.75), 2: (0.6, None)}
    for number, values in repeats.items():
        for seed, value in enumerate(values, start=1):
            state = "failed" if value is None else "finished"
            book.save(trial(100_000 * seed + number, value, kind="repeat", repeats=number, seed=seed, state=state))
    return book


def test_the_winner_is_the_best_of_the_repeated(book):
    """Not the trial whose own score is best, which chance helped; a repeat that failed is counted, not averaged."""
    rows = rows_of(book)
    assert [row.trial.number for row in rows] == [1, 2, 0, 3, 4, 5, 6, 7]
    assert rows[0].repeated_mean == pytest.approx(0.65)
    assert rows[0].repeated_std == pytest.approx(0.1414, abs=1e-4)
    assert (rows[1].repeats, rows[1].repeated_std, rows[1].num_failed) == ((0.6,), None, 1)
    assert [record.number for record in best_trials(book.of("search"), 2)] == [2, 1]


def test_where_few_were_trained_whole_the_furthest_are_repeated_too():
    """Whole ones first, whatever their score; then those that were stopped, by samples and then by score; never one
    that failed, diverged or has no score. With repeats such a trial can win."""
    stopped = partial(trial, state="stopped early")
    trials = [
        stopped(0, scores=(score(0.9, step=10),)),
        stopped(1, scores=(score(0.9, step=10), score(0.4, step=20))),
        stopped(2, scores=(score(0.5, step=20),)),
        trial(3, 0.3),
        trial(4, 0.8, state="diverged"),
        trial(5, state="failed"),
        stopped(6),
    ]
    assert [record.number for record in best_trials(trials, 3)] == [3, 2, 1]
    assert [record.number for record in best_trials(trials, 9)] == [3, 2, 1, 0]
    assert [Row(trial=record).is_comparable for record in trials] == [False, False, False, True, False, False, False]
    assert Row(trial=trials[2], repeats=(0.6,)).is_comparable


def test_the_table_names_every_trial(book):
    """As Markdown and as CSV, with the random initialisation beside; none is left out."""
    lines = as_csv(rows_of(book), SPACE).splitlines()
    assert lines[0] == "trial,margin,rate,speeds,state,samples,score,repeats' mean,spread,seeds,failed,random"
    assert len(lines) == 9
    assert lines[1].startswith('1,0.1,0.1,"[1, 3]",finished,320,0.5,0.65')
    text = as_markdown(rows_of(book), SPACE, "validation/train_knn_top1")
    assert "| 5 | 0.5 | 0.1 | [1, 3] | diverged | 320 | 0 |" in text


def test_pictures_and_importances_are_of_the_scored_trials(book, tmp_path):
    """What varies with the score matters, what does not vary does not; without scores there is nothing to draw."""
    shares = importances(book.of("search"), SPACE)
    assert shares["margin"] > shares["rate"] == 0
    assert sum(shares.values()) == pytest.approx(1)
    paths = draw_all(rows_of(book), SPACE, shares, "validation/train_knn_top1", tmp_path)
    assert sorted({path.stem for path in paths}) == ["effects", "importance", "parallel_coordinates"]
    assert all(path.stat().st_size > 5000 for path in paths)
    assert draw_all([], SPACE, {}, "validation/train_knn_top1", tmp_path) == []
    assert importances([trial(0, 0.5)], SPACE) == {}
