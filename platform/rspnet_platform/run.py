"""A run: every name settled, its data set opened, its MLflow run begun or continued."""

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from rspnet_platform import storage
from rspnet_platform.command_line import say
from rspnet_platform.config import TrainingRunConfig, flatten
from rspnet_platform.embedded_dataset import embedded_dataset
from rspnet_platform.lease import has_lost_a_lease
from rspnet_platform.provenance import code_commit
from rspnet_platform.shards.dataset import ShardedDataset, find_version, open_dataset, read_refusals
from rspnet_platform.stop_requests import stop_message
from rspnet_platform.stream.frame_readers import frame_reader
from rspnet_platform.tracking import runs
from rspnet_platform.tracking.metric_sender import send_waiting
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import resolve_tracking_uri
from rspnet_platform.train.run_record import RunRecord

Config = TypeVar("Config", bound=TrainingRunConfig)


@dataclass(frozen=True, kw_only=True)
class Run(Generic[Config]):
    """A run whose every name is settled. `config` has no defaults left that depend on where the job was started."""

    config: Config
    name: str
    uri: str
    tracking_uri: str
    dataset: ShardedDataset

    @property
    def dataset_sha256(self) -> str:
        return self.dataset.description.manifest_sha256


TRAINING_OUTBOX, VALIDATION_OUTBOX = OUTBOXES = ("unsent_metrics", "unsent_validation_metrics")
"""One process at a time may use an outbox: each that logs metrics has one of its own name."""


def outbox_uri(run: Run, name: str) -> str:
    """Where metrics wait while the tracking server is away: in the run's storage, whichever machine logs them."""
    return storage.join(run.uri, name)


def send_unsent_metrics(run: Run, record: RunRecord) -> int:
    """Sends what it can of what training and validation could not, once both are over. Returns how many metrics still
    wait."""
    outboxes = [outbox_uri(run, name) for name in OUTBOXES]
    return sum(send_waiting(run.tracking_uri, record.mlflow_run_id, outbox) for outbox in outboxes)


def settle(config: Config, home: Path) -> Run[Config]:
    """Fills in name, storage, tracking and data set. Raises ValueError for what does not exist."""
    name = config.run.name or generated_name(config.recipe)
    storage_uri = storage.resolve_uri(config.run.storage or str(home / "runs"))
    tracking_uri = resolve_tracking_uri(config.tracking, home)
    run_uri = storage.join(storage_uri, name)
    dataset = open_dataset_of_run(config.data.shards or embedded_dataset(home), config.data.version, run_uri)
    config = replace(
        config,
        run=replace(config.run, name=name, storage=storage_uri),
        data=replace(config.data, shards=dataset.uri, version=dataset.description.version),
        tracking=replace(config.tracking, uri=redact(tracking_uri)),
    )
    return Run(
        config=config,
        name=name,
        uri=run_uri,
        tracking_uri=tracking_uri,
        dataset=dataset,
    )


def generated_name(recipe: str) -> str:
    return f"{recipe}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:4]}"


def open_dataset_of_run(shards: str, version: int | None, run_uri: str) -> ShardedDataset:
    """Without `version` a run that has begun goes on with the version that it began on, whatever has been added since;
    a new run takes the newest."""
    record = RunRecord.load(run_uri)
    if version is None and record is not None:
        version = find_version(shards, record.dataset_sha256)  # None, for a data set that the record will refuse
    return open_dataset(shards, version)


def begin(run: Run, record: RunRecord | None, more_tags: Mapping[str, str] | None = None) -> RunRecord:
    """Opens or continues the MLflow run, and enters it in the run's folder."""
    params = flatten(run.config)
    tags = {
        "dataset_sha256": run.dataset_sha256,
        "code_commit": code_commit(),
        "storage": run.uri,
        "decoder": run.dataset.description.decoder,
        "reader": frame_reader(run.dataset.description, run.config.data.decoder).decoder,
        **(more_tags or {}),
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
            dataset_sha256=run.dataset_sha256,
            config=params,
            num_resumes=0,
        )
        record.save(run.uri)
        runs.log_json(run.tracking_uri, run_id, params, "config.json")
        runs.log_json(run.tracking_uri, run_id, run.dataset.description.to_json(), "dataset.json")
        runs.log_json(
            run.tracking_uri, run_id, read_refusals(run.dataset.uri, run.dataset.description.version), "refusals.json"
        )
    else:
        say(f"resuming the run {run.name} ({record.stage})")
        if record.num_resumes is not None:
            record = replace(record, num_resumes=record.num_resumes + 1)
        record.save(run.uri)
    return record


@contextlib.contextmanager
def closing_run_on_failure(run: Run, record: RunRecord) -> Iterator[None]:
    """A run that fails says so in MLflow; one that is killed stays open until it is resumed."""
    with closing_on_failure(run.tracking_uri, record.mlflow_run_id):
        yield


@contextlib.contextmanager
def closing_on_failure(tracking_uri: str, mlflow_run_id: str) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if has_lost_a_lease():  # the run is open, and another job's
            raise
        status = "FAILED" if isinstance(error, Exception) else "KILLED"
        with contextlib.suppress(Exception):  # the error that matters is the one on its way
            runs.end_run(tracking_uri, mlflow_run_id, status)
            failure = stop_message(error, goes_on=False) if status == "KILLED" else str(error)
            runs.set_tags(tracking_uri, mlflow_run_id, {"failure": failure})
        raise
