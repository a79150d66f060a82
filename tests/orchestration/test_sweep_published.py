"""What a sweep leaves in MLflow and in its folder, whatever became of its trials."""

import json
import shutil
from pathlib import Path

from rspnet_platform.parent_run import PARENT_TAG
from rspnet_platform.sweep.search import parse_sweep
from rspnet_platform.sweep.settled_sweep import Sweep, settle_sweep
from rspnet_platform.sweep.summary import importances, rows_of
from rspnet_platform.sweep.sweeping import begin_parent_run, publish, result_of
from rspnet_platform.sweep.trial_record import Score, TrialBook
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import tracking_client

from jobs.recipe_files.tiny import tiny_cpu
from jobs.recipes import RECIPES
from jobs.searches import SEARCHES


def settled(dataset, folder: Path, *more: str) -> Sweep:
    arguments = ["margin", "--data.shards", dataset.uri, "--task.queue-size", "16", "--sweep.num-trials", "5"]
    arguments += ["--training.global-batch-size", "8", "--sweep.storage", str(folder), *more]
    return settle_sweep(parse_sweep(SEARCHES, RECIPES, arguments), folder)


def test_repeats_have_the_parameters_and_seeds_of_their_own(small_dataset, tmp_path):
    """None of them the seed that chose the trial; all checkpoints of trials are validated, in turn."""
    sweep = settled(small_dataset, tmp_path, "--training.seed", "40", "--sweep.num-seeds", "3")
    book = TrialBook.load(sweep.book_folder)
    trial = book.save(sweep.new_trial(book, 2))
    repeats = [sweep.new_trial(book, number) for number in sweep.repeats_of(trial)]
    assert trial.seed == 40
    assert [repeat.seed for repeat in repeats] == [41, 42, 43]
    assert all((repeat.parameters, repeat.repeats) == (trial.parameters, 2) for repeat in repeats)
    assert len({repeat.name for repeat in repeats}) == 3
    assert sweep.trial_config.validation.each_in_turn
    assert not tiny_cpu().validation.each_in_turn


def test_trials_train_on_as_many_videos_as_asked_for(small_dataset, tmp_path):
    """Drawn by the sweep's seed, not the first ones; the winner's config knows nothing of it."""
    some = settled(small_dataset, tmp_path, "--sweep.num-videos", "16").video_indices.tolist()
    assert some == sorted(set(some))
    assert len(some) == 16
    assert some != list(range(16))
    assert settled(small_dataset, tmp_path, "--sweep.num-videos", "16").video_indices.tolist() == some
    other = settled(small_dataset, tmp_path, "--sweep.num-videos", "16", "--sweep.seed", "1")
    assert other.video_indices.tolist() != some
    assert other.num_samples_per_trial == 60 * 16
    assert len(settled(small_dataset, tmp_path).video_indices) == 24


def test_the_parent_run_gets_table_and_pictures_and_no_child_stays_open(small_dataset, tmp_path, empty_database):
    """A driver that is killed leaves children open: the next one closes them, and nothing of another parent. The job's
    JSON names what failed, and has a best only where a trial was trained to its end."""
    database = shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{database}"
    sweep = settled(small_dataset, tmp_path, "--tracking.uri", uri)
    book = TrialBook.load(sweep.book_folder)
    for number, state in enumerate(("stopped early", "failed", "collapsed", "stopped early", "stopped early")):
        score = Score(step=1, num_samples=8, objective=0.1 * number, random=0.2)
        record = sweep.new_trial(book, number)
        book.save(type(record)(**{**vars(record), "state": state, "message": state, "scores": (score,)}))

    parent_id = begin_parent_run(sweep)
    assert begin_parent_run(sweep) == parent_id
    other_id = runs.start_run(uri, "rspnet", "other", {}, {})
    children = [runs.start_run(uri, "rspnet", f"child {n}", {}, {PARENT_TAG: parent_id}) for n in range(2)]
    assert runs.end_children(uri, parent_id, "KILLED") == 2
    client = tracking_client(uri)
    assert {client.get_run(child).info.status for child in children} == {"KILLED"}
    assert client.get_run(other_id).info.status == "RUNNING"

    rows, shares = rows_of(book), importances(book.of("search"), sweep.job.space)
    results_uri = publish(sweep, rows, shares, parent_id, "validation/train_knn_top1")
    names = {Path(artifact.path).name for artifact in client.list_artifacts(parent_id, "results")}
    assert {"table.md", "table.csv", "effects.png", "importance.svg", "parallel_coordinates.svg"} <= names
    assert names == {path.name for path in Path(results_uri).iterdir()}
    assert client.get_run(parent_id).data.metrics["importance/task.ranking_margin"] == 1.0

    result = json.loads(json.dumps(result_of(sweep, book, rows, shares, parent_id, results_uri, None)))
    assert result["trials"] == {"collapsed": 1, "failed": 1, "stopped early": 3}
    assert result["failed_trials"] == {"trial-0001": "failed"}
    assert result["best"] is result["model_uri"] is None
