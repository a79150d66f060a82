"""The main walk of a sweep: trials, the best of them repeated with other seeds, the table, the winner."""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rspnet_platform import runtime, storage
from rspnet_platform.command_line import say
from rspnet_platform.config import flatten
from rspnet_platform.home import default_home
from rspnet_platform.lease import has_lost_a_lease, leased
from rspnet_platform.parent_run import PARENT_TAG, begin_parent
from rspnet_platform.run import closing_on_failure
from rspnet_platform.stream.cpu_budget import Budget
from rspnet_platform.sweep.board import sweep_board
from rspnet_platform.sweep.cooperative_asha import CooperativeAsha
from rspnet_platform.sweep.plots import draw_all
from rspnet_platform.sweep.search import SweepJob
from rspnet_platform.sweep.settled_sweep import (
    SWEEP_RECORD,
    Sweep,
    identity,
    num_trials_at_once,
    of_trials,
    settle_sweep,
)
from rspnet_platform.sweep.shared_clips import make_shared_clips
from rspnet_platform.sweep.summary import Row, as_csv, as_markdown, best_trials, importances, rows_of
from rspnet_platform.sweep.trial import TrialLaunch
from rspnet_platform.sweep.trial_record import TrialBook, TrialRecord
from rspnet_platform.sweep.tuning import ask_board_to_stop, tune_trials
from rspnet_platform.sweep.winner import train_winner
from rspnet_platform.temporary_folder import temporary_folder
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.train.launch import WorkerResources, plan_resources
from rspnet_platform.train.requirements import check_batch_norm

PARENT_RECORD = "parent.json"
RESULTS = "results"


def sweep(job: SweepJob) -> dict[str, Any]:
    """Searches, repeats, trains the winner; the same command goes on where it was. Returns what the job prints."""
    settled = settle_sweep(job, default_home())
    check_reachable(settled.tracking_uri)
    with leased(settled.uri):
        runtime.connect()
        try:
            return run_sweep(settled)
        finally:
            runtime.disconnect()


def run_sweep(settled: Sweep) -> dict[str, Any]:
    """On a connected Ray."""
    config = settled.trial_config
    resources, budget = plan_resources(config)
    check_batch_norm(config, use_gpu=resources.use_gpu, max_workers=resources.max_workers)
    num_at_once = num_trials_at_once(budget, settled.options.max_concurrent_trials, settled.job.num_trials)
    say_plan(settled, budget, num_at_once)
    storage.write_json(storage.join(settled.uri, SWEEP_RECORD), identity(settled))
    parent_id = begin_parent_run(settled)
    with closing_on_failure(settled.tracking_uri, parent_id):
        book = TrialBook.load(settled.book_folder)
        try:
            return walk(settled, book, resources, num_at_once, parent_id)
        finally:
            if not has_lost_a_lease():
                runs.end_children(settled.tracking_uri, parent_id, "KILLED")


def walk(
    settled: Sweep, book: TrialBook, resources: WorkerResources, num_at_once: int, parent_id: str
) -> dict[str, Any]:
    tags = {PARENT_TAG: parent_id, "job": "sweep", "sweep": settled.name}
    launch = launch_of(settled, resources, tags)
    with sweep_board(settled.board_name):
        trials = unfinished(book, range(settled.job.num_trials))
        run_trials(settled, book, launch, trials, num_at_once=num_at_once, asha=scheduler(settled, book))
        best = best_trials(book.of("search"), settled.options.num_repeated)
        repeats = unfinished(book, [number for trial in best for number in settled.repeats_of(trial)])
        run_trials(settled, book, launch, repeats, num_at_once=num_at_once, asha=None)
    rows = rows_of(book)
    say(as_markdown(rows, settled.job.space, launch.objective))
    shares = importances(book.of("search"), settled.job.space)
    results_uri = publish(settled, rows, shares, parent_id, launch.objective)
    winner = next((row.trial for row in rows if row.is_comparable), None)
    final = None
    if winner is not None and settled.final_config is not None:
        final = train_winner(settled, settled.final_config, winner, resources, tags)
    runs.end_run(settled.tracking_uri, parent_id, "FINISHED")
    return result_of(settled, book, rows, shares, parent_id, results_uri, final)


def launch_of(settled: Sweep, resources: WorkerResources, tags: dict[str, str]) -> TrialLaunch:
    return TrialLaunch(
        config=settled.trial_config,
        resources=resources,
        video_indices=settled.video_indices,
        pack=settled.shared_clips and settled.shared_clips.pack,
        book_folder=settled.book_folder,
        runs_uri=settled.runs_uri,
        home=settled.home,
        board_name=settled.board_name,
        num_retries=settled.options.num_retries,
        tags=tags,
    )


def run_trials(
    settled: Sweep,
    book: TrialBook,
    launch: TrialLaunch,
    numbers: Sequence[int],
    *,
    num_at_once: int,
    asha: CooperativeAsha | None,
) -> None:
    """To their ends, once the clips that they share are decoded."""
    if numbers and settled.shared_clips is not None:
        make_shared_clips(settled.shared_clips, settled.dataset, settled.trial_config)
    create = partial(settled.new_trial, book)
    tune_trials(numbers, book, create, launch, num_at_once=num_at_once, asha=asha)


def unfinished(book: TrialBook, numbers: Sequence[int]) -> list[int]:
    """Those that were running come first, to go on; then those that have not begun."""
    waiting = [number for number in numbers if number not in book.trials]
    return [number for number in numbers if number in book.trials and book.trials[number].state == "running"] + waiting


def scheduler(settled: Sweep, book: TrialBook) -> CooperativeAsha | None:
    """None where no trial is to be stopped early."""
    options = settled.options
    if not options.reduction_factor:
        return None
    asha = CooperativeAsha(
        first_rung=max(1, round(options.first_rung_fraction * settled.num_samples_per_trial)),
        reduction_factor=options.reduction_factor,
        ask_to_stop=ask_board_to_stop(settled.board_name),
    )
    asha.replay(book.of("search"))
    return asha


def say_plan(settled: Sweep, budget: Budget, num_at_once: int) -> None:
    job = settled.job
    say(
        f"{job.num_trials} trials of {settled.num_samples_per_trial} samples, {num_at_once} at once, scored by "
        f"{settled.trial_config.validation.objective}; the cluster's share of this sweep:\n"
        f"{of_trials(budget, num_at_once).table()}"
    )


def begin_parent_run(settled: Sweep) -> str:
    space = {f"space.{key}": each.to_json() for key, each in settled.job.space.items()}
    return begin_parent(
        storage.join(settled.uri, PARENT_RECORD),
        tracking_uri=settled.tracking_uri,
        experiment=settled.trial_config.tracking.experiment,
        name=settled.name,
        params={**flatten(settled.options, "sweep."), **space, "search": settled.job.search}
        | {"data.shards": settled.dataset.uri, "recipe": settled.job.recipe.recipe},
        tags={
            "job": "sweep",
            "dataset_sha256": settled.dataset.description.manifest_sha256,
            "storage": settled.uri,
        },
    )


def publish(settled: Sweep, rows: Sequence[Row], shares: dict[str, float], parent_id: str, objective: str) -> str:
    """Table and plots, into the parent run and the sweep's folder. Returns their folder there."""
    space = settled.job.space
    results_uri = storage.join(settled.uri, RESULTS)
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as name:
        folder = Path(name)
        (folder / "table.md").write_text(as_markdown(rows, space, objective))
        (folder / "table.csv").write_text(as_csv(rows, space))
        draw_all(rows, space, shares, objective, folder)
        runs.log_artifacts(settled.tracking_uri, parent_id, folder, RESULTS)
        for path in sorted(folder.iterdir()):
            storage.upload_file(str(path), storage.join(results_uri, path.name))
    metrics = {f"importance/{key}": share for key, share in shares.items()}
    if rows and rows[0].trial.value is not None:
        metrics["best/score"] = rows[0].trial.value
    if rows and rows[0].repeated_mean is not None:
        metrics["best/repeated_mean"] = rows[0].repeated_mean
    if metrics:
        runs.log_metrics_once(settled.tracking_uri, parent_id, len(rows), metrics)
    return results_uri


def result_of(
    settled: Sweep,
    book: TrialBook,
    rows: Sequence[Row],
    shares: dict[str, float],
    parent_id: str,
    results_uri: str,
    final: dict[str, Any] | None,
) -> dict[str, Any]:
    best = rows[0] if rows and rows[0].is_comparable else None
    return {
        "sweep": settled.name,
        "run_id": parent_id,
        "objective": settled.trial_config.validation.objective,
        "trials": book.num_by_state(),
        "failed_trials": {trial.name: trial.message for trial in failed(book)},
        "best": best and best.trial.parameters,
        "best_score": best and best.trial.value,
        "best_repeated_mean": best and best.repeated_mean,
        "best_repeated_std": best and best.repeated_std,
        "random": best and best.random,
        "importance": shares,
        "table": storage.join(results_uri, "table.md"),
        "model_uri": final and final["model_uri"],
        "final": final,
        "storage": settled.uri,
        "packed_clips": settled.shared_clips and settled.shared_clips.pack.uri,
        "tracking_uri": redact(settled.tracking_uri),
    }


def failed(book: TrialBook) -> list[TrialRecord]:
    return [trial for trial in book.trials.values() if trial.state == "failed"]
