"""A run in MLflow that holds others, and is found again by a record in its folder."""

from collections.abc import Mapping

from rspnet_platform import storage
from rspnet_platform.provenance import code_commit
from rspnet_platform.tracking import runs

PARENT_TAG = "mlflow.parentRunId"
"""By which MLflow's pages fold children under their parent."""


def begin_parent(
    record_uri: str,
    *,
    tracking_uri: str,
    experiment: str,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, object],
) -> str:
    """Opens the run, or continues the one that the JSON file `record_uri` names, and returns its id."""
    run_id = storage.read_json(record_uri)["mlflow_run_id"] if storage.exists(record_uri) else None
    run_id = runs.start_run(
        tracking_uri, experiment, name, params, {"code_commit": code_commit(), **tags}, run_id=run_id
    )
    storage.write_json(record_uri, {"mlflow_run_id": run_id})
    return run_id
