"""Runs of MLflow by id, without its global "active run": what one process opens, any may continue."""

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from rspnet_platform.temporary_folder import temporary_folder
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.redaction import redact, redact_values
from rspnet_platform.tracking.tracking_config import sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]
MAX_PARAMS_PER_BATCH = 100
MAX_PARAM_CHARACTERS = 6000
MAX_TAG_CHARACTERS = 8000
CHANGED_PARAMS_TAG = "params_changed_on_resume"


def start_run(
    tracking_uri: str,
    experiment: str,
    run_name: str,
    params: Mapping[str, object],
    tags: Mapping[str, object],
    run_id: str | None = None,
) -> str:
    """Opens a run, or continues `run_id`, and returns its id. Secrets among params and tags are hidden.

    A continued run keeps the params that it has, since MLflow's are immutable: those that differ now stand in
    its tag `params_changed_on_resume`. Raises ConnectionError within seconds if the store does not answer,
    and ValueError for a run or an experiment that is deleted or does not exist.
    """
    client = tracking_client(tracking_uri)
    wanted = {key: _shortened(value, MAX_PARAM_CHARACTERS) for key, value in redact_values(params).items()}
    if run_id is None:
        experiment_id = _experiment_id(client, tracking_uri, experiment)
        run_id, logged = client.create_run(experiment_id, run_name=run_name).info.run_id, {}
    else:
        logged = _reopen(client, tracking_uri, run_id)
    _log_params(client, run_id, {key: value for key, value in wanted.items() if key not in logged})
    changed = {key: value for key, value in wanted.items() if logged.get(key, value) != value}
    set_tags(tracking_uri, run_id, {**tags, **({CHANGED_PARAMS_TAG: json.dumps(changed)} if changed else {})})
    return run_id


def find_unfinished(tracking_uri: str, experiment: str, tag: str, value: str) -> str | None:
    """The id of a run with that tag whose maker failed or was killed: to be continued by who does the same again."""
    client = tracking_client(tracking_uri)
    if (found := client.get_experiment_by_name(experiment)) is None:
        return None
    unfinished = f"tags.{tag} = '{value}' and attributes.status != 'FINISHED'"
    runs = client.search_runs([found.experiment_id], unfinished, max_results=1)
    return runs[0].info.run_id if runs else None


def end_run(tracking_uri: str, run_id: str, status: RunStatus) -> None:
    """Closes a run. Raises ValueError for a status that MLflow does not know."""
    if status not in get_args(RunStatus):
        raise ValueError(f"status is {status!r}; accepted are {', '.join(get_args(RunStatus))}")
    tracking_client(tracking_uri).set_terminated(run_id, status=status)


def end_children(tracking_uri: str, parent_id: str, status: RunStatus) -> int:
    """Closes the runs below `parent_id` that are still open, and returns how many: whoever opened them was killed."""
    client = tracking_client(tracking_uri)
    experiment_id = client.get_run(parent_id).info.experiment_id
    open_below = f"tags.`mlflow.parentRunId` = '{parent_id}' and attributes.status = 'RUNNING'"
    num_closed = 0
    while page := client.search_runs([experiment_id], open_below):
        for run in page:
            client.set_terminated(run.info.run_id, status=status)
        num_closed += len(page)
    return num_closed


def set_tags(tracking_uri: str, run_id: str, tags: Mapping[str, object]) -> None:
    """Sets or replaces tags of a run; secrets among them are hidden."""
    client = tracking_client(tracking_uri)
    from mlflow.entities import RunTag

    entries = [RunTag(key, _shortened(value, MAX_TAG_CHARACTERS)) for key, value in redact_values(tags).items()]
    for start in range(0, len(entries), MAX_PARAMS_PER_BATCH):
        client.log_batch(run_id, tags=entries[start : start + MAX_PARAMS_PER_BATCH])


def log_metrics_once(tracking_uri: str, run_id: str, step: int, metrics: Mapping[str, float]) -> None:
    """Logs a few metrics at once and waits for it; `MetricWriter` is for those of a training loop. What the run has of
    that step already is not logged twice: an attempt that was killed after it is repeated."""
    client = tracking_client(tracking_uri)
    from mlflow.entities import Metric

    known = client.get_run(run_id).data.metrics
    metrics = {
        key: value
        for key, value in metrics.items()
        if key not in known or (step, float(value)) not in _history(client, run_id, key)
    }
    now_milliseconds = int(time.time() * 1000)
    client.log_batch(
        run_id, metrics=[Metric(key, float(value), now_milliseconds, step) for key, value in metrics.items()]
    )


def _history(client: "MlflowClient", run_id: str, key: str) -> set[tuple[int, float]]:
    return {(point.step, point.value) for point in client.get_metric_history(run_id, key)}


def log_artifacts(tracking_uri: str, run_id: str, path: Path, artifact_folder: str | None = None) -> None:
    """Uploads a file, or a folder's contents. Raises FileNotFoundError for a path that does not exist."""
    if not path.exists():
        raise FileNotFoundError(f"artifact {path} does not exist")
    client = tracking_client(tracking_uri)
    upload = client.log_artifacts if path.is_dir() else client.log_artifact
    upload(run_id, str(path), artifact_folder)


def log_json(tracking_uri: str, run_id: str, content: object, artifact_file: str) -> None:
    """Uploads `content` as an indented JSON file."""
    log_text(tracking_uri, run_id, json.dumps(content, indent=2), artifact_file)


def log_text(tracking_uri: str, run_id: str, text: str, artifact_file: str) -> None:
    """Uploads `text` as a file."""
    tracking_client(tracking_uri).log_text(run_id, text, artifact_file)


def log_bytes(tracking_uri: str, run_id: str, content: bytes, artifact_file: str) -> None:
    """Uploads `content` as a file; `artifact_file` is its name, without folders."""
    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        path = Path(folder, artifact_file)
        path.write_bytes(content)
        log_artifacts(tracking_uri, run_id, path)


def _experiment_id(client: "MlflowClient", tracking_uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        location = _artifact_location(tracking_uri, name)
        try:
            return client.create_experiment(name, artifact_location=location)
        except MlflowException:
            # Another process may have created it in the meantime; anything else is an error.
            if (experiment := client.get_experiment_by_name(name)) is None:
                raise
    if experiment.lifecycle_stage != "active":
        raise ValueError(f"experiment {name!r} is deleted in {redact(tracking_uri)}: restore it or name another one")
    return experiment.experiment_id


def _artifact_location(tracking_uri: str, experiment: str) -> str | None:
    """Where a new experiment keeps artifacts; None leaves it to the server.

    Without a server MLflow would take the process's current folder, which Ray changes.
    """
    if tracking_uri.startswith(("http://", "https://")):
        return None
    if (database := sqlite_path(tracking_uri)) is None:
        raise ValueError(
            f"experiment {experiment!r} does not exist in {redact(tracking_uri)}, and a database has no "
            "place for artifacts: track through an `mlflow server`, or use `mlflow experiments create -l URI`"
        )
    return (database.parent / "mlartifacts").as_uri()


def _reopen(client: "MlflowClient", tracking_uri: str, run_id: str) -> dict[str, str]:
    """Sets a run to RUNNING again and returns the params that it has."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise ValueError(f"run {run_id!r} does not exist in {redact(tracking_uri)}") from error
    if run.info.lifecycle_stage != "active":
        raise ValueError(f"run {run_id!r} is deleted in {redact(tracking_uri)}: restore it or start another one")
    client.update_run(run_id, status="RUNNING")
    return run.data.params


def _log_params(client: "MlflowClient", run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    entries = [Param(key, value) for key, value in params.items()]
    for start in range(0, len(entries), MAX_PARAMS_PER_BATCH):
        client.log_batch(run_id, params=entries[start : start + MAX_PARAMS_PER_BATCH])


def _shortened(value: str, max_characters: int) -> str:
    if len(value) <= max_characters:
        return value
    note = f" [cut: {len(value)} characters]"
    return value[: max_characters - len(note)] + note
