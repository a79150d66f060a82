"""A trial: one launch of the training that `jobs/pretrain.py` launches, whose scores are Tune's reports."""

import os
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray import tune

from rspnet_platform import storage
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.pretraining import train
from rspnet_platform.run import Run, begin, closing_run_on_failure, send_unsent_metrics, settle
from rspnet_platform.stream.clip_pack import ClipPack
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.sweep.board import BoardListener, BoardWatch, score_of
from rspnet_platform.sweep.cooperative_asha import NUM_SAMPLES, NUMBER, SCORE
from rspnet_platform.sweep.dotted_keys import with_parameters
from rspnet_platform.sweep.trial_record import Score, TrialRecord, load_record
from rspnet_platform.tracking import runs
from rspnet_platform.train.checkpoints import latest_checkpoint, load_data_state
from rspnet_platform.train.failure_notice import summary
from rspnet_platform.train.launch import WorkerResources, plan_stream
from rspnet_platform.train.requirements import check_requirements
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.train.watches import RunStoppedError
from rspnet_platform.validation.validation_ledger import ValidationLedger

SECONDS_BETWEEN_LOOKS = 0.5
OUTCOME = "outcome.json"
ENDS = ("stopped early", "diverged", "collapsed")
"""Reasons to stop that are a trial's end; what else stops a run (damaged videos) is a failure."""


@dataclass(frozen=True, kw_only=True)
class TrialLaunch:
    """What all trials of a sweep share. `config` is the recipe with a trial's budget; `book_folder` has their records,
    `runs_uri` their runs; `pack` has the clips of `video_indices` decoded, none where each trial decodes its own."""

    config: PretrainConfig
    resources: WorkerResources
    video_indices: np.ndarray
    pack: ClipPack | None
    book_folder: str
    runs_uri: str
    home: Path
    board_name: str
    num_retries: int
    tags: dict[str, str]

    def config_of(self, trial: TrialRecord) -> PretrainConfig:
        """Raises ValueError for parameters that the config refuses together."""
        config = with_parameters(self.config, trial.parameters)
        return replace(
            config,
            training=replace(config.training, seed=trial.seed),
            run=replace(config.run, name=trial.name, storage=self.runs_uri),
        )

    @property
    def objective(self) -> str:
        assert self.config.validation.objective is not None
        return self.config.validation.objective


def run_trial(tune_config: dict[str, Any], launch: TrialLaunch) -> None:
    """Tune's trainable. What goes wrong is reported and tried again, as often as the sweep says; it never raises."""
    trial = load_record(launch.book_folder, tune_config["number"])
    failures = list(trial.failures)
    try:
        run, stream = prepare(trial, launch)
    except ValueError as error:  # it would be refused again
        tune.report({NUMBER: trial.number, "state": "failed", "message": str(error)})
        return
    while len(failures) <= launch.num_retries:
        try:
            outcome = attempt(trial, launch, run, stream)
        except Exception as error:
            if os.environ.get("RSPNET_TRACEBACK"):
                traceback.print_exc()
            failures.append(summary(error))
            tune.report({NUMBER: trial.number, "failure": failures[-1]})
            continue
        tune.report({NUMBER: trial.number, **outcome})
        return
    tune.report({NUMBER: trial.number, "state": "failed", "message": failures[-1]})


def prepare(trial: TrialRecord, launch: TrialLaunch) -> tuple[Run[PretrainConfig], TrainingStream]:
    """Raises ValueError for parameters that cannot be trained with: a batch that is larger than the data set, say."""
    run = settle(launch.config_of(trial), launch.home)
    stream = plan_stream(run.config, run.dataset, run.uri, launch.video_indices)
    check_requirements(run.config, run.dataset, stream)
    return run, replace(stream, pack=launch.pack)


def attempt(
    trial: TrialRecord, launch: TrialLaunch, run: Run[PretrainConfig], stream: TrainingStream
) -> dict[str, Any]:
    """Trains to the end, or to where it is stopped; from the run's last checkpoint where there is one. Returns how it
    ended; a run that has ended before says so again."""
    outcome_uri = storage.join(run.uri, OUTCOME)
    if storage.exists(outcome_uri):
        return storage.read_json(outcome_uri)
    record = RunRecord.load(run.uri)
    if record is not None:
        record.check_resumable(run_uri=run.uri, dataset_sha256=run.dataset_sha256, config=flatten(run.config))
    record = begin(run, record, launch.tags | tags_of(trial))
    with closing_run_on_failure(run, record):
        state, message = train_reporting(trial, launch, run, record, stream)
        send_unsent_metrics(run, record)
        runs.set_tags(run.tracking_uri, record.mlflow_run_id, {"state": state, "state_reason": message})
        is_sound = state in ("finished", "stopped early")
        runs.end_run(run.tracking_uri, record.mlflow_run_id, "FINISHED" if is_sound else "FAILED")
    outcome = {"state": state, "message": message, "mlflow_run_id": record.mlflow_run_id}
    storage.write_json(outcome_uri, outcome)
    return outcome


def tags_of(trial: TrialRecord) -> dict[str, str]:
    repeats = {} if trial.repeats is None else {"repeats": str(trial.repeats)}
    return {"trial": str(trial.number), "kind": trial.kind, **repeats}


def train_reporting(
    trial: TrialRecord, launch: TrialLaunch, run: Run, record: RunRecord, stream: TrainingStream
) -> tuple[str, str]:
    """Reports each score to Tune while it trains. Returns the state that the trial ends in, and why."""
    missed = scores_missed(trial, launch.objective, run.uri)  # before training adds to them
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(
            train,
            run,
            record,
            stream,
            launch.resources,
            watches=(BoardWatch(board_name=launch.board_name, number=trial.number),),
            validation_listeners=(
                BoardListener(board_name=launch.board_name, number=trial.number, objective=launch.objective),
            ),
        )
        num_scores = len(trial.scores)
        for score in chain(missed, scores_until_done(training, launch.board_name, trial.number)):
            num_scores += 1
            tune.report({NUMBER: trial.number, **report_of(score)})
    try:
        training.result()
    except RunStoppedError as stop:
        if stop.reason not in ENDS:
            raise
        return stop.reason, str(stop)
    if not num_scores:
        raise RuntimeError(f"the run {run.uri} ended without a score of {launch.objective}: no validation succeeded")
    return "finished", ""


def scores_missed(trial: TrialRecord, objective: str, run_uri: str) -> list[Score]:
    """Of checkpoints that the run goes on from, or that lie before: when the sweep was killed, they had been validated
    and their scores were on their way to it."""
    checkpoint = latest_checkpoint(run_uri)
    last_step = load_data_state(checkpoint).step if checkpoint else 0
    known = {score.step for score in trial.scores}
    return [
        score_of(entry.step, entry.num_samples, entry.metrics, objective)
        for entry in ValidationLedger.of_run(run_uri).entries()
        if entry.state == "validated" and entry.step <= last_step and entry.step not in known
    ]


def report_of(score: Score) -> dict[str, Any]:
    return {SCORE: score.objective, NUM_SAMPLES: score.num_samples, "step": score.step, "random": score.random}


def scores_until_done(training: Future, board_name: str, number: int) -> Iterator[Score]:
    """What validation leaves on the board, to the last."""
    board = ray.get_actor(board_name)
    is_last = False
    while not is_last:
        is_last = training.done()  # before the look: what came in between is not lost
        yield from ray.get(board.take_scores.remote(number))
        if not is_last:
            time.sleep(SECONDS_BETWEEN_LOOKS)
