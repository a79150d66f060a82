"""Ray Tune, driven by a sweep's own records: it starts trials, as many at once as fit, and hears what they report."""

import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from rspnet_platform.command_line import say
from rspnet_platform.sweep.cooperative_asha import NUM_SAMPLES, NUMBER, SCORE, CooperativeAsha
from rspnet_platform.sweep.dotted_keys import shown
from rspnet_platform.sweep.trial import TrialLaunch, run_trial
from rspnet_platform.sweep.trial_record import Score, TrialBook, TrialRecord
from rspnet_platform.temporary_folder import temporary_folder

ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # records and MLflow have it all
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would end the trials, and the sweep would go on without them
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


def resources_of(launch: TrialLaunch) -> dict[str, float]:
    """Of a trial's process. One that waits for workers takes nothing, but Tune asks for something; what the workers
    take, Tune does not see."""
    if not launch.resources.in_process:
        return {"CPU": 0.0, "memory": 1.0}
    return {"CPU": launch.resources.cpus_per_worker, "GPU": float(launch.resources.use_gpu)}


class RecordingSearcher(Searcher):
    """Hands Tune the trials of `numbers`, each from its record, or from `create` where it has none yet, and enters into
    the records what Tune is told."""

    def __init__(self, numbers: Sequence[int], book: TrialBook, create: Callable[[int], TrialRecord]) -> None:
        super().__init__()
        self._waiting, self._book, self._create = list(numbers), book, create
        self._number_of: dict[str, int] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        if not self._waiting:
            return None
        number = self._waiting.pop(0)
        record = self._book.trials.get(number) or self._book.save(self._create(number))
        say(f"{record.name}: {'goes on' if record.scores else 'starts'}, {shown_parameters(record)}")
        self._number_of[trial_id] = number
        return {NUMBER: number}

    def on_trial_result(self, trial_id: str, result: dict) -> None:
        record = self._book.trials[self._number_of[trial_id]]
        if SCORE in result:
            score = Score(
                step=result["step"],
                num_samples=result[NUM_SAMPLES],
                objective=result[SCORE],
                random=result["random"],
            )
            self._book.save(record.with_score(score))
        elif "failure" in result:
            self._book.save(replace(record, failures=(*record.failures, result["failure"])))
            say(f"{record.name}: failed: {result['failure']}")
        elif "state" in result:
            self._end(record, result["state"], result["message"], result.get("mlflow_run_id"))

    def on_trial_complete(self, trial_id: str, result: dict | None = None, error: bool = False) -> None:  # noqa: ARG002
        """Also of a trial that could not say how it ended."""
        record = self._book.trials[self._number_of[trial_id]]
        if record.state == "running":
            self._end(record, "failed", "the trial's process died", None)

    def _end(self, record: TrialRecord, state: Any, message: str, mlflow_run_id: str | None) -> None:
        ended = self._book.save(replace(record, state=state, message=message, mlflow_run_id=mlflow_run_id))
        value = "" if ended.value is None else f", score {ended.value:.4f}"
        say(f"{record.name}: {state}{value}{f' ({message})' if message else ''}")

    def save(self, checkpoint_path: str) -> None:
        """Tune's own state is never gone on from."""

    def restore(self, checkpoint_path: str) -> None:
        raise AssertionError(f"a sweep goes on from its records, not from {checkpoint_path}")


def shown_parameters(record: TrialRecord) -> str:
    return ", ".join(f"{key} {shown(value)}" for key, value in record.parameters.items())


def tune_trials(
    numbers: Sequence[int],
    book: TrialBook,
    create: Callable[[int], TrialRecord],
    launch: TrialLaunch,
    *,
    num_at_once: int,
    asha: CooperativeAsha | None,
) -> None:
    """Runs the trials to their ends; those with a record go on where they were. `book` has what came of them."""
    if not numbers:
        return
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    searcher = RecordingSearcher(numbers, book, create)
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory(dir=temporary_folder(), ignore_cleanup_errors=True) as folder,
    ):
        warnings.simplefilter("ignore")  # Tune warns of fields of its own
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(run_trial, launch=launch), resources_of(launch)),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=asha,
                num_samples=len(numbers),
                max_concurrent_trials=num_at_once,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=folder,  # on this machine: nobody goes on from it
                failure_config=tune.FailureConfig(max_failures=launch.num_retries),
                verbose=0,
            ),
        )
        tuner.fit()
    if left := [number for number in numbers if number not in book.trials or book.trials[number].state == "running"]:
        raise RuntimeError(f"Ray Tune ended before the trials {left}; the same command goes on with them")


def ask_board_to_stop(board_name: str) -> Callable[[int, str], None]:
    """By the board's name: Tune writes its scheduler to a file."""
    return partial(_mark, board_name)


def _mark(board_name: str, number: int, reason: str) -> None:
    ray.get(ray.get_actor(board_name).mark.remote(number, reason))
