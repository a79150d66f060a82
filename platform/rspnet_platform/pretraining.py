"""The main walk: data set, training, retrieval beside random initialisation, registry, one result."""

import contextlib
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray.train import UserCallback

from rspnet_platform import runtime
from rspnet_platform.command_line import say, say_step
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.home import default_home
from rspnet_platform.inference.run_evaluation import Evaluation, evaluate_run
from rspnet_platform.lease import leased
from rspnet_platform.publishing import encoder_input, final_checkpoint, register, trained_encoder
from rspnet_platform.report.run_end import report_at_end
from rspnet_platform.run import (
    TRAINING_OUTBOX,
    Run,
    begin,
    closing_run_on_failure,
    outbox_uri,
    send_unsent_metrics,
    settle,
)
from rspnet_platform.stop_requests import goes_on_with
from rspnet_platform.stream.damage import DamageBudget, DamageLedger, with_video_ids
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.train.checkpoints import checkpoint_at, load_data_state
from rspnet_platform.train.failure_notice import FailureNotice
from rspnet_platform.train.launch import WorkerResources, launch_training, plan_resources, plan_stream
from rspnet_platform.train.listeners import MlflowListener, ProgressListener
from rspnet_platform.train.loop_task import LoopTask
from rspnet_platform.train.progress import SavedStepNotice, progress_bar
from rspnet_platform.train.requirements import check_batch_norm, check_requirements
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.train.stoppable import stoppable
from rspnet_platform.train.watches import DamageWatch, RunStoppedError, Watch
from rspnet_platform.validation.collapse import CollapseWatch
from rspnet_platform.validation.plan_validation import plan_validation, videos_of
from rspnet_platform.validation.validation_listener import ValidationListener
from rspnet_platform.validation.validation_summary import ValidationSummary
from rspnet_platform.visualise.recorded_run import keep_recipe


def pretrain(config: PretrainConfig, recipe: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Pretrains, evaluates and registers; the same run again goes on where it was. Returns what the job prints.
    `recipe`: its own values by dotted keys, for the report to say what differs."""
    try:
        say_step("opening the data set")
        run = settle(config, default_home())
        resumable_record(run)
        stream = plan_stream(run.config, run.dataset, run.uri)
        check_requirements(run.config, run.dataset, stream)
        videos_of(run, stream)
        check_reachable(run.tracking_uri)
        with leased(run.uri):
            try:
                return walk(run, stream, recipe)
            finally:
                runtime.disconnect()  # which ends the workers, before another job may have the run
    finally:
        runtime.disconnect()


def resumable_record(run: Run) -> RunRecord | None:
    """None for a run that has not begun. Raises ValueError for one that does not go on with this config or data set."""
    record = RunRecord.load(run.uri)
    if record is not None:
        record.check_resumable(run_uri=run.uri, dataset_sha256=run.dataset_sha256, config=flatten(run.config))
    return record


def walk(run: Run[PretrainConfig], stream: TrainingStream, recipe: Mapping[str, Any] | None) -> dict[str, Any]:
    """Of a run that was found to be possible, and that nobody else is at work on."""
    record = resumable_record(run)
    runtime.connect()
    runtime.warm_up_ray_data()
    resources, budget = plan_resources(run.config)
    check_batch_norm(run.config, use_gpu=resources.use_gpu, max_workers=resources.max_workers)
    say(f"the cluster's share of this run:\n{budget.table()}")
    if run.config.validation.protocol != "none" and not resources.has_validation:
        say(f"no checkpoint is validated: {run.config.validation.num_cpus:g} CPUs for that are not left over")
    say_step("opening the run in MLflow")
    record = begin(run, record)
    if recipe is not None:
        keep_recipe(run.uri, recipe)
    with goes_on_with(f"--run.name {run.name}"), closing_run_on_failure(run, record):
        if record.stage == "training":
            train(run, record, stream, resources)
            record = record.at("trained")
            record.save(run.uri)
        return finish(run, record, stream, use_gpu=resources.use_gpu)


def train(
    run: Run,
    record: RunRecord,
    stream: TrainingStream,
    resources: WorkerResources,
    loop_task: LoopTask | None = None,
    *,
    watches: tuple[Watch, ...] = (),
    callbacks: tuple[UserCallback, ...] = (),
    validation_listeners: tuple[ValidationListener, ...] = (),
) -> None:
    """Trains to the last step, with the progress shown here and the metrics in MLflow. Raises RunStoppedError for what
    stops it before that, and for too many damaged videos.

    `watches` look at the run beside its own, `callbacks` are Ray Train's, and `validation_listeners` are told of each
    checkpoint that has been validated."""
    damage = DamageBudget(
        ledger=stream.damage,
        num_videos=len(stream.plan.video_indices),
        max_damaged_fraction=run.config.data.max_damaged_fraction,
    )
    is_pretraining = isinstance(run.config, PretrainConfig)
    own_watches = (CollapseWatch(),) if is_pretraining else ()
    validation = None
    if is_pretraining and resources.has_validation:
        validation = plan_validation(run, record, stream, validation_listeners, in_process=resources.in_process)
    say("starting to train" if resources.in_process else "starting the training workers")
    bar = progress_bar(stream.plan.num_steps, stream.plan.num_epochs)
    with stopping_over(damage, run, record), stoppable(run.uri) as pulse, bar as board:
        launch_training(
            run.config,
            run_uri=run.uri,
            stream=stream,
            resources=resources,
            dataset_sha256=run.dataset_sha256,
            listeners=(
                MlflowListener(
                    tracking_uri=run.tracking_uri, run_id=record.mlflow_run_id, outbox=outbox_uri(run, TRAINING_OUTBOX)
                ),
                ProgressListener(board=board),
            ),
            watches=(DamageWatch(budget=damage), *own_watches, *watches),
            callbacks=(
                FailureNotice(run.tracking_uri, record.mlflow_run_id),
                SavedStepNotice(board),
                *callbacks,
            ),
            loop_task=loop_task,
            validation=validation,
            pulse=pulse,
        )


@contextlib.contextmanager
def stopping_over(damage: DamageBudget, run: Run, record: RunRecord) -> Iterator[None]:
    """Says which videos are damaged, where the run's loop knows only how many, or was over before it looked again."""
    try:
        yield
    except RunStoppedError:
        check_damage(damage, run, record)
        raise
    check_damage(damage, run, record)


def check_damage(damage: DamageBudget, run: Run, record: RunRecord) -> None:
    if complaint := damage.complaint(run.dataset.videos):
        log_damage(damage.ledger, run, record)
        raise RunStoppedError(complaint)


def log_damage(ledger: DamageLedger, run: Run, record: RunRecord) -> None:
    """The list, among the run's artifacts."""
    entries = with_video_ids(ledger.entries(), run.dataset.videos)
    runs.log_json(run.tracking_uri, record.mlflow_run_id, entries, "damaged_videos.json")


def finish(
    run: Run[PretrainConfig],
    record: RunRecord,
    stream: TrainingStream,
    *,
    use_gpu: bool,
    alias: str | None = None,
) -> dict[str, Any]:
    """Evaluates and registers the trained encoder, and closes the run. `alias`: as of `register`."""
    checkpoint = final_checkpoint(run)
    progress = load_data_state(checkpoint)
    validation = ValidationSummary.of_run(run)
    if run.config.validation.registers == "best":
        if validation.best is None:
            say("no checkpoint could be validated: the last encoder is registered in place of the best")
        else:
            checkpoint = checkpoint_at(validation.best.uri)
    encoder = trained_encoder(run, checkpoint)
    say_step("evaluating the encoder beside random initializations")
    evaluation = evaluate_run(
        run.dataset, encoder, run.config, encoder_input(run), damage=stream.damage, use_gpu=use_gpu
    )
    metrics = {**evaluation.metrics, "data/num_damaged_videos": float(stream.damage.count())}
    runs.log_metrics_once(run.tracking_uri, record.mlflow_run_id, progress.step, metrics)
    log_damage(stream.damage, run, record)
    say_step("registering the encoder")
    model, alias = register(run, record, encoder, evaluation, alias)
    num_unsent_metrics = send_unsent_metrics(run, record)
    runs.end_run(run.tracking_uri, record.mlflow_run_id, "FINISHED")
    record = replace(record.at("finished"), registered_checkpoint=Path(checkpoint.path).name)
    report = {}
    if run.config.run.report:
        say_step("making the report")
        report = report_at_end(
            run, record, encoder, encoder_input(run), evaluation, damage=stream.damage, use_gpu=use_gpu
        )
    record.save(run.uri)  # last: until then the same command does what is missing
    show(run, evaluation, validation, f"models:/{model.name}@{alias}", report.get("report"))
    return {
        "run_id": record.mlflow_run_id,
        "run_name": run.name,
        "num_videos": len(stream.plan.video_indices),
        "num_steps": progress.step,
        "num_samples": progress.consumed.num_samples,
        "num_damaged_videos": stream.damage.count(),
        "num_unsent_metrics": num_unsent_metrics,
        "metrics": metrics,
        "protocol": evaluation.protocol,
        "model_uri": model.model_uri,
        "model_alias": f"models:/{model.name}@{alias}",
        "storage": run.uri,
        "tracking_uri": redact(run.tracking_uri),
        "dataset": run.dataset.uri,
        **validation.to_json(),
        **report,
    }


def show(
    run: Run, evaluation: Evaluation, validation: ValidationSummary, model_uri: str, report: str | None = None
) -> None:
    """Where to look, for the person who started the job: commands that work as they are printed."""
    tracking, python = shlex.quote(redact(run.tracking_uri)), shlex.quote(sys.executable)
    page = (
        redact(run.tracking_uri)
        if tracking.startswith("http")
        else f"{python} -m mlflow ui --backend-store-uri {tracking}"
    )
    predict = f"import mlflow; print(mlflow.pyfunc.load_model('{model_uri}').predict(['VIDEO.mp4']).shape)"
    say(
        f"\n{evaluation.table()}\n\n"
        f"run          {run.name} in {run.uri}\n"
        + "".join(f"{line}\n" for line in validation.lines)
        + (f"report       {report}\n" if report else "")
        + f"tracking     {page}\n"
        f'the encoder  MLFLOW_TRACKING_URI={tracking} {python} -c "{predict}"'
    )
