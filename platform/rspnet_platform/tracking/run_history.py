"""What MLflow knows of a run that has been: params, tags, times, and the curve of every metric."""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from rspnet_platform.temporary_folder import temporary_folder
from rspnet_platform.tracking.client import tracking_client
from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import sqlite_path


@dataclass(frozen=True, kw_only=True)
class MetricCurve:
    """One value a step: `steps` int64, ascending; `values` float64. A run that went on from a checkpoint has logged
    some steps twice: the latest value counts, and `num_repeated` the others."""

    steps: np.ndarray
    values: np.ndarray
    num_repeated: int = 0


@dataclass(frozen=True, kw_only=True)
class RunHistory:
    """`ended_seconds` is None for a run that has not ended; both times are seconds since 1970."""

    run_id: str
    name: str
    status: str
    began_seconds: float
    ended_seconds: float | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    curves: Mapping[str, MetricCurve]


def read_run_history(tracking_uri: str, run_id: str) -> RunHistory:
    """Raises ConnectionError where the store does not answer, or has no such file, and ValueError for a run that it
    does not have."""
    client, run = _client_and_run(tracking_uri, run_id)
    began, ended = run.info.start_time, run.info.end_time
    return RunHistory(
        run_id=run_id,
        name=run.info.run_name or run_id,
        status=run.info.status,
        began_seconds=began / 1000,
        ended_seconds=None if ended is None else ended / 1000,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        curves={
            key: curve_of(
                (point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, key)
            )
            for key in sorted(run.data.metrics)
        },
    )


def curve_of(points: Iterable[tuple[int, int, float]]) -> MetricCurve:
    """Of (step, timestamp, value) in any order; of one step the latest value."""
    ordered = sorted(points, key=lambda point: point[:2])  # stable: of one millisecond the one that came last
    latest = {step: value for step, _, value in ordered}
    return MetricCurve(
        steps=np.array(list(latest), dtype=np.int64),
        values=np.array(list(latest.values()), dtype=np.float64),
        num_repeated=len(ordered) - len(latest),
    )


def read_json_artifact(tracking_uri: str, run_id: str, name: str) -> Any:
    """Raises ConnectionError and ValueError as `read_run_history` does, and ValueError for a file that is not there."""
    client, _ = _client_and_run(tracking_uri, run_id)
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(dir=temporary_folder()) as folder:
        try:
            path = client.download_artifacts(run_id, name, folder)
        except (MlflowException, OSError) as error:
            raise ValueError(f"the run {run_id} has no artifact {name}: {redact(str(error))}") from error
        return json.loads(Path(path).read_text())


def artifact_address(tracking_uri: str, run_id: str, name: str) -> str:
    """Where an artifact of the run lies: a path on this machine where the store is a folder of it, else a URI."""
    _, run = _client_and_run(tracking_uri, run_id)
    address = redact(run.info.artifact_uri.rstrip("/"))
    if address.startswith("file://"):
        address = unquote(address.removeprefix("file://"))
    return f"{address}/{name}"


def _client_and_run(tracking_uri: str, run_id: str) -> tuple[Any, Any]:
    database = sqlite_path(tracking_uri)
    if database is not None and not database.exists():  # MLflow would make an empty one
        raise ConnectionError(f"the tracking store {redact(tracking_uri)} does not exist")
    client = tracking_client(tracking_uri)
    from mlflow.exceptions import MlflowException

    try:
        return client, client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise ValueError(f"run {run_id!r} does not exist in {redact(tracking_uri)}") from error
