"""A sweep as its user runs it: killed in the middle and gone on with, a trial that fails and one that diverges, two at
once on two CPUs, and nothing left over."""

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from rspnet_platform.sweep.trial_record import Score, TrialBook, TrialRecord
from rspnet_platform.tracking.client import tracking_client

from tests.end_to_end.pretrain_job import kill_group, wait_until
from tests.end_to_end.sweep_job import SweepProcess

RAYS_OWN = ("_StatsActor", "_AutoscalingCoordinatorActor", "ActorLocationTracker")
GOOD, FAILING, DIVERGING = range(3)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_leaves_nothing_over(small_dataset, tmp_path, empty_database):
    """The same command repeats no trial that has ended and goes on with the one that was running; failures are retried
    and named, a divergence counts as the worst score, the winner is a challenger; no run of MLflow, no actor and no
    placement group stays."""
    job = SweepProcess(folder=tmp_path, dataset=small_dataset.uri)
    job.database.write_bytes(empty_database.read_bytes())
    obstacle = job.sweep_folder / "runs" / f"trial-{FAILING:04d}"
    obstacle.parent.mkdir(parents=True)
    obstacle.write_text("no folder can be here")
    process = job.start()
    try:
        wait_until(lambda: job.trial(FAILING)["state"] == "failed" and bool(job.trial(GOOD)["scores"]), process)
    finally:
        kill_group(process)
    assert job.trial(GOOD)["state"] == "running"
    killed_run_id = json.loads((job.sweep_folder / "runs" / "trial-0000" / "run.json").read_text())["mlflow_run_id"]

    result, left_over = go_on(job)

    assert left_over == []
    assert result["trials"] == {"diverged": 1, "failed": 1, "finished": 2}
    assert list(result["failed_trials"]) == [f"trial-{FAILING:04d}"]
    assert len(job.trial(FAILING)["failures"]) == 2  # begun before the kill, and not tried again after it
    assert result["best"] == {"optimizer.learning_rate": 0.05}
    assert result["best_repeated_mean"] is not None
    assert job.trial(GOOD)["mlflow_run_id"] == killed_run_id
    assert [score["step"] for score in job.trial(GOOD)["scores"]] == [10, 20, 30]
    assert Path(result["packed_clips"], "pack.json").exists()
    check_tracked(job, result)
    assert "| 2 | 1e+30 | diverged |" in Path(result["table"]).read_text()


@pytest.mark.slow
def test_a_trial_that_is_behind_or_collapses_ends_in_order_and_early(small_dataset, tmp_path, empty_database):
    """Behind: where the sweep has seen another do better at that number of samples. Each ends long before its last step
    with its word, its run in MLflow is closed, and nothing is left over: no worker of Ray Train either."""
    settings = {"training.num-epochs": 400, "training.checkpoint-every-num-steps": 300, "sweep.num-repeated": 0}
    settings |= {"sweep.max-concurrent-trials": 1}
    settings |= {"search": "optimizer.weight_decay=choice:0.0001,0.0002,10.0", "sweep.num-final-epochs": 0}
    settings |= {"sweep.first-rung-fraction": 0.25, "sweep.num-packed-samples": 1, "scaling.num-workers": 1}
    job = SweepProcess(folder=tmp_path, dataset=small_dataset.uri, settings=settings)
    job.database.write_bytes(empty_database.read_bytes())
    scores = tuple(Score(step=step, num_samples=8 * step, objective=2.0) for step in range(300, 1201, 300))
    better = TrialRecord(number=0, kind="search", parameters={"optimizer.weight_decay": 1e-4}, seed=0)
    TrialBook(folder=str(job.sweep_folder / "trials")).save(replace(better, state="finished", scores=scores))

    result, left_over = go_on(job)

    assert left_over == []
    assert result["trials"] == {"collapsed": 1, "finished": 1, "stopped early": 1}
    stopped, collapsed = job.trial(1), job.trial(2)
    assert "others scored more than" in stopped["message"]
    assert "train/feature_std is" in collapsed["message"]
    assert 0 < stopped["scores"][-1]["num_samples"] < 400 * 24
    assert "| 2 | 10 | collapsed |" in Path(result["table"]).read_text()
    client = tracking_client(f"sqlite:///{job.database}")
    for trial, status in ((stopped, "FINISHED"), (collapsed, "FAILED")):
        run = client.get_run(trial["mlflow_run_id"])
        assert (run.info.status, run.data.tags["state"]) == (status, trial["state"])
        assert client.get_metric_history(run.info.run_id, "train/loss")[-1].step < 1200


def go_on(job: SweepProcess) -> tuple[dict, list[str]]:
    """The same command in this process, on a Ray whose actors and placement groups can be counted after it."""
    from rspnet_platform import runtime
    from rspnet_platform.sweep.search import parse_sweep
    from rspnet_platform.sweep.settled_sweep import settle_sweep
    from rspnet_platform.sweep.sweeping import run_sweep

    from jobs.recipes import RECIPES
    from jobs.searches import SEARCHES

    runtime.connect(num_cpus=2)
    try:
        result = run_sweep(settle_sweep(parse_sweep(SEARCHES, RECIPES, job.arguments()), job.folder))
        deadline = time.monotonic() + 30  # processes that end take a moment
        while (left_over := alive()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return result, left_over
    finally:
        runtime.disconnect()


def alive() -> list[str]:
    """Placement groups, and actors other than those that Ray Data has once in each cluster."""
    import ray
    from ray._private.state import actors

    groups = [group["state"] for group in ray.util.placement_group_table().values() if group["state"] != "REMOVED"]
    names = [entry["ActorClassName"] for entry in actors().values() if entry["State"] != "DEAD"]
    return groups + [name for name in names if name not in RAYS_OWN]


def check_tracked(job: SweepProcess, result: dict) -> None:
    """A parent, a child for each trial that began a run, and the winner's."""
    client = tracking_client(f"sqlite:///{job.database}")
    [experiment] = [each for each in client.search_experiments() if each.name == "rspnet"]
    found = client.search_runs([experiment.experiment_id])
    # Each attempt of the one that failed had opened a run before it met its obstacle.
    assert Counter(run.info.status for run in found) == {"FINISHED": 4, "FAILED": 1, "KILLED": 2}
    runs = {run.info.run_name: run for run in found}
    parent = runs.pop("rates")
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert runs["trial-0002"].data.tags["state"] == "diverged"
    assert runs["trial-0000"].data.params["optimizer.learning_rate"] == "0.05"
    artifacts = {artifact.path for artifact in client.list_artifacts(parent.info.run_id, "results")}
    assert {"results/table.md", "results/table.csv", "results/effects.png"} <= artifacts
    aliases = client.get_registered_model("rspnet").aliases
    assert {alias: int(version) for alias, version in aliases.items()} == {"challenger": 1}
    assert result["model_uri"] == "models:/rspnet/1"


def test_a_sweep_that_cannot_be_compared_is_refused(small_dataset, tmp_path):
    """Before Ray starts: another space under the same name, no validation, workers that grow; with what is accepted."""
    from rspnet_platform import storage
    from rspnet_platform.stream.cpu_budget import Budget, BudgetError, Claim
    from rspnet_platform.sweep.search import parse_sweep
    from rspnet_platform.sweep.settled_sweep import SWEEP_RECORD, identity, num_trials_at_once, settle_sweep

    from jobs.recipes import RECIPES
    from jobs.searches import SEARCHES

    def settled(*more: str):
        job = SweepProcess(folder=tmp_path, dataset=small_dataset.uri)
        return settle_sweep(parse_sweep(SEARCHES, RECIPES, [*job.arguments(), *more]), tmp_path)

    sweep = settled()
    assert sweep.num_samples_per_trial == 10 * 24
    storage.write_json(storage.join(sweep.uri, SWEEP_RECORD), identity(sweep))
    assert settled("--sweep.num-seeds", "5").options.num_seeds == 5
    for more, message in {
        ("--optimizer.momentum", "0.8"): "optimizer.momentum was 0.9, is 0.8",
        ("--search", "optimizer.learning_rate=choice:0.1"): "space.optimizer.learning_rate was",
        ("--validation.protocol", "none"): "validation.protocol is 'none'",
        ("--scaling.num-workers", "1:2"): "scaling.num_workers is '1:2'",
        ("--sweep.num-packed-samples", "11"): "num_packed_samples is 11, and a trial has 10 epochs",
        ("--sweep.num-videos", "25"): "num_videos is 25, and there are 24 videos",
        ("--search", "task.clips.playback_speeds=choice:[1,2],[1,3]"): "task.clips.playback_speeds changes the clips",
    }.items():
        with pytest.raises(ValueError, match=message):
            settled(*more)
    claims = (Claim(who="training workers", count=1, cpus=1.0), Claim(who="decode tasks, at least", count=1, cpus=0.5))
    budget = Budget(claims=claims, cluster_cpus=4.0)
    assert [num_trials_at_once(budget, None, count) for count in (1, 12)] == [1, 2]
    assert num_trials_at_once(replace(budget, cluster_cpus=16.0), None, 12) == 10
    with pytest.raises(BudgetError, match=r"training workers +3 +3 "):
        num_trials_at_once(budget, 3, 12)
