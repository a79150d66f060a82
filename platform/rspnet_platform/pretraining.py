"""The main walk: data set, training, retrieval beside random initialisation, registry, one result."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rspnet_core.encoders.video_encoder import VideoEncoder
from rspnet_platform import runtime, storage
from rspnet_platform.command_line import say
from rspnet_platform.config import PretrainConfig, flatten
from rspnet_platform.embedded_dataset import embedded_dataset
from rspnet_platform.home import default_home
from rspnet_platform.inference.encoder_card import EncoderCard, EncoderInput
from rspnet_platform.inference.run_evaluation import Evaluation, evaluate_run
from rspnet_platform.provenance import code_commit
from rspnet_platform.shards.dataset import ShardedDataset, open_dataset
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.client import check_reachable
from rspnet_platform.tracking.promotion import choose_alias, set_alias
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.registry import RegisteredModel, register_encoder
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri
from rspnet_platform.train.checkpoints import latest_checkpoint, load_tensors
from rspnet_platform.train.launch import launch_training, plan_resources, plan_stream
from rspnet_platform.train.listeners import MlflowListener, ProgressListener
from rspnet_platform.train.progress import progress_bar
from rspnet_platform.train.requirements import check_requirements
from rspnet_platform.train.run_record import RunRecord
from rspnet_platform.train.training_state import build_task

GATE_METRIC = "validation/retrieval_top1"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run whose every name is settled. `config` has no defaults left that depend on where the job was started."""

    config: PretrainConfig
    name: str
    uri: str
    tracking_uri: str
    dataset: ShardedDataset

    @property
    def dataset_sha256(self) -> str:
        return self.dataset.description.manifest_sha256


def pretrain(config: PretrainConfig) -> dict[str, Any]:
    """Pretrains, evaluates and registers; the same run again goes on where it was. Returns what the job prints."""
    run = settle(config, default_home())
    record = RunRecord.load(run.uri)
    if record is not None:
        record.check_resumable(run_uri=run.uri, dataset_sha256=run.dataset_sha256, config=flatten(run.config))
    stream = plan_stream(run.config, run.dataset, run.uri)
    check_requirements(run.config, run.dataset, stream)
    check_reachable(run.tracking_uri)
    runtime.connect()
    try:
        resources, budget = plan_resources(run.config)
        say(f"the cluster's share of this run:\n{budget.table()}")
        record = begin(run, record)
        with closing_run_on_failure(record):
            if record.stage == "training":
                train(run, record, stream, resources)
                record = record.at("trained")
                record.save(run.uri)
            return finish(run, record, stream, use_gpu=resources.use_gpu)
    finally:
        runtime.disconnect()


def settle(config: PretrainConfig, home: Path) -> Run:
    """Fills in name, storage, tracking and data set. Raises ValueError for what does not exist."""
    name = config.run.name or f"{config.recipe}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}"
    storage_uri = storage.resolve_uri(config.run.storage or str(home / "runs"))
    tracking_uri = resolve_tracking_uri(config.tracking, home)
    dataset = open_dataset(config.data.shards or embedded_dataset(home))
    config = replace(
        config,
        run=replace(config.run, name=name, storage=storage_uri),
        data=replace(config.data, shards=dataset.uri),
        tracking=replace(config.tracking, uri=redact(tracking_uri)),
    )
    return Run(
        config=config,
        name=name,
        uri=storage.join(storage_uri, name),
        tracking_uri=tracking_uri,
        dataset=dataset,
    )


def begin(run: Run, record: RunRecord | None) -> RunRecord:
    """Opens or continues the MLflow run, and enters it in the run's folder."""
    params = flatten(run.config)
    tags = {
        "dataset_sha256": run.dataset_sha256,
        "code_commit": code_commit(),
        "storage": run.uri,
        "decoder": run.dataset.description.decoder,
    }
    run_id = runs.start_run(
        run.tracking_uri,
        run.config.tracking.experiment,
        run.name,
        params,
        tags,
        run_id=record.mlflow_run_id if record else None,
    )
    if record is None:
        record = RunRecord(
            stage="training",
            mlflow_run_id=run_id,
            tracking_uri=run.tracking_uri,
            dataset_sha256=run.dataset_sha256,
            config=params,
        )
        record.save(run.uri)
        runs.log_json(run.tracking_uri, run_id, params, "config.json")
        runs.log_json(run.tracking_uri, run_id, run.dataset.description.to_json(), "dataset.json")
    else:
        say(f"resuming the run {run.name} ({record.stage})")
    return record


@contextlib.contextmanager
def closing_run_on_failure(record: RunRecord) -> Iterator[None]:
    """A run that fails says so in MLflow; one that is killed stays open until it is resumed."""
    try:
        yield
    except BaseException as error:
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        with contextlib.suppress(Exception):  # the error that matters is the one on its way
            runs.end_run(record.tracking_uri, record.mlflow_run_id, status)
        raise


def train(run: Run, record: RunRecord, stream: TrainingStream, resources: Any) -> None:
    """Trains to the last step, with the progress shown here and the metrics in MLflow."""
    with progress_bar(stream.plan.num_steps) as board:
        launch_training(
            run.config,
            run_uri=run.uri,
            stream=stream,
            resources=resources,
            dataset_sha256=run.dataset_sha256,
            listeners=(
                MlflowListener(tracking_uri=run.tracking_uri, run_id=record.mlflow_run_id, outbox=outbox_path(run)),
                ProgressListener(board=board),
            ),
        )


def outbox_path(run: Run) -> str:
    """Where metrics wait while the tracking server is away: in the run's folder, or on the worker's own disk."""
    folder = Path.home() / ".cache" / "rspnet" / run.name if storage.is_remote(run.uri) else Path(run.uri)
    return str(folder / "unsent_metrics.jsonl")


def finish(run: Run, record: RunRecord, stream: TrainingStream, *, use_gpu: bool) -> dict[str, Any]:
    """Evaluates and registers the trained encoder, and closes the run."""
    encoder = trained_encoder(run)
    evaluation = evaluate_run(
        run.dataset, encoder, run.config, encoder_input(run), damage=stream.damage, num_gpus=float(use_gpu)
    )
    metrics = {**evaluation.metrics, "data/num_damaged_videos": float(stream.damage.count())}
    runs.log_metrics_once(run.tracking_uri, record.mlflow_run_id, stream.plan.num_steps, metrics)
    runs.log_json(run.tracking_uri, record.mlflow_run_id, stream.damage.entries(), "damaged_videos.json")
    model, alias = register(run, record, encoder, evaluation)
    runs.end_run(run.tracking_uri, record.mlflow_run_id, "FINISHED")
    record.at("finished").save(run.uri)
    show(run, evaluation, f"models:/{model.name}@{alias}")
    return {
        "run_id": record.mlflow_run_id,
        "run_name": run.name,
        "num_videos": len(stream.plan.video_indices),
        "num_steps": stream.plan.num_steps,
        "num_damaged_videos": stream.damage.count(),
        "metrics": metrics,
        "protocol": evaluation.protocol,
        "model_uri": model.model_uri,
        "model_alias": f"models:/{model.name}@{alias}",
        "storage": run.uri,
        "tracking_uri": redact(run.tracking_uri),
        "dataset": run.dataset.uri,
    }


def trained_encoder(run: Run) -> VideoEncoder:
    """The encoder of the run's last checkpoint."""
    checkpoint = latest_checkpoint(run.uri)
    if checkpoint is None:
        raise RuntimeError(f"the run {run.uri} has no checkpoint, though its training has ended")
    task = build_task(run.config)
    task.load_state_dict(load_tensors(checkpoint)["task"])
    return task.encoder


def encoder_input(run: Run) -> EncoderInput:
    """How the encoder is shown a whole video: the clips that it was trained on, evenly spaced."""
    evaluation, task = run.config.evaluation, run.config.task
    return EncoderInput(
        num_frames_per_clip=task.clips.num_frames_per_clip,
        frame_stride=evaluation.frame_stride,
        crop_size=task.view.crop_size,
        short_side=run.dataset.description.short_side,
        num_clips=evaluation.retrieval_protocol.num_clips,
        pooling=evaluation.retrieval_protocol.pooling,
    )


def register(run: Run, record: RunRecord, encoder: VideoEncoder, evaluation: Evaluation) -> tuple[RegisteredModel, str]:
    """A new version in the registry, and the alias that the gate metric gives it: champion or challenger."""
    card = EncoderCard(
        encoder=run.config.task.encoder,
        feature_dim=encoder.feature_dim,
        input=encoder_input(run),
        method=run.config.task.task_name,
        protocol=evaluation.protocol,
    )
    tags = {
        "recipe": run.config.recipe,
        "dataset_sha256": run.dataset_sha256,
        "code_commit": code_commit(),
        "run_name": run.name,
    }
    name = run.config.tracking.model_name
    model = register_encoder(run.tracking_uri, record.mlflow_run_id, name, encoder, card, evaluation.metrics, tags)
    choice = choose_alias(run.tracking_uri, name, model.version, GATE_METRIC)
    say(f"registered {name} version {model.version} as {choice.alias}: {choice.reason}")
    set_alias(run.tracking_uri, name, model.version, choice.alias)
    return model, choice.alias


def show(run: Run, evaluation: Evaluation, model_uri: str) -> None:
    """Where to look, for the person who started the job."""
    say(
        f"\n{evaluation.table()}\n\n"
        f"run          {run.name} in {run.uri}\n"
        f"tracking     mlflow ui --backend-store-uri {redact(run.tracking_uri)}\n"
        f'the encoder  MLFLOW_TRACKING_URI={redact(run.tracking_uri)} python -c "import mlflow; '
        f"print(mlflow.pyfunc.load_model('{model_uri}').predict(['video.mp4']).shape)\""
    )
