"""What a sweep leaves in MLflow and in its folder, whatever became of its trials."""

import json
import shutil
from pathlib import Path

from rspnet_platform.parent_run import PARENT_TAG
from rspnet_platform.sweep.search import parse_sweep
from rspnet_platform.sweep.settled_sweep import settle_sweep
from rspnet_platform.sweep.summary import importances, rows_of
from rspnet_platform.sweep.sweeping import begin_parent_run, publish, result_of
from rspnet_platform.sweep.trial_record import Score, TrialBook
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import tracking_client

from jobs.recipes import RECIPES
from jobs.searches import SEARCHES


def test_the_parent_run_gets_table_and_pictures_and_no_child_stays_open(small_dataset, tmp_path, empty_database):
    """A driver that is killed leaves children open: the next one closes them, and nothing of another parent. The job's
    JSON names what failed, and has a best only where a trial was trained to its end."""
    database = shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{database}"
    arguments = ["margin", "--data.shards", small_dataset.uri, "--task.queue-size", "16", "--sweep.num-trials", "5"]
    arguments += ["--training.global-batch-size", "8", "--tracking.uri", uri, "--sweep.storage", str(tmp_path)]
    sweep = settle_sweep(parse_sweep(SEARCHES, RECIPES, arguments), tmp_path)
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
