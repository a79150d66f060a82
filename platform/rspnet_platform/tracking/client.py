"""The one way to a tracking store: it answers within seconds or there is one clear error; quiet logs."""

import functools
import http.client
import logging
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rspnet_platform.tracking.redaction import redact
from rspnet_platform.tracking.tracking_config import sqlite_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

_GATEWAY_ERRORS = (502, 503, 504)
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
# MLflow's own defaults keep a caller waiting for 248 s on a refused port, far longer on a frozen server.
_ENVIRONMENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # At each run's end it prints the store's address as it is, with the user's password.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def tracking_client(tracking_uri: str, *, num_attempts: int = 2) -> "MlflowClient":
    """A client of a store that answers. Raises ConnectionError as `check_reachable` does, and ValueError for a database
    that MLflow cannot use."""
    check_reachable(tracking_uri, num_attempts=num_attempts)
    prepare_mlflow()
    from mlflow import MlflowClient

    if not tracking_uri.startswith(("http://", "https://")):
        _check_database(tracking_uri)
    return MlflowClient(tracking_uri)


@functools.cache  # once it is found to be sound
def _check_database(tracking_uri: str) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.version import VERSION
    from sqlalchemy.exc import SQLAlchemyError

    try:
        MlflowClient(tracking_uri).search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError) as error:
        raise ValueError(
            f"the tracking database {redact(tracking_uri)} cannot be used: {redact(str(error).splitlines()[0])}."
            f" Accepted are a database of MLflow {VERSION} (after a backup, `mlflow db upgrade` migrates an older one),"
            " and another --tracking.uri"
        ) from error


def import_mlflow() -> None:
    """Takes more than a second."""
    prepare_mlflow()
    import mlflow  # noqa: F401


def open_store(tracking_uri: str) -> None:
    """Asks the store for the first time, which looks a database's schema over; makes a SQLite database."""
    tracking_client(tracking_uri).search_experiments(max_results=1)


def prepare_mlflow() -> None:
    """Sets what MLflow reads from the environment, where the user has not; precedes any import of mlflow."""
    for name, value in _ENVIRONMENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    # Only matters where someone imported mlflow first: it reads the level once.
    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"].upper())


def check_reachable(tracking_uri: str, *, timeout_seconds: float = 3.0, num_attempts: int = 2) -> None:
    """Returns once the store answers; raises ConnectionError that names it after `num_attempts` short tries.

    A SQLite store's folder is created; ConnectionError where it cannot be, or may not be written.
    """
    if (database := sqlite_path(tracking_uri)) is not None:
        _check_writable(database)
        return
    for attempt in range(num_attempts):
        try:
            return _probe(tracking_uri, timeout_seconds)
        except (OSError, http.client.HTTPException) as error:
            if attempt + 1 == num_attempts:
                raise ConnectionError(
                    f"no answer from the tracking store {redact(tracking_uri)}: {redact(str(error))}. Start "
                    "it, or set --tracking.uri or MLFLOW_TRACKING_URI (sqlite:///PATH needs no server)"
                ) from error
            time.sleep(1.0)


def _check_writable(database: Path) -> None:
    """MLflow would try to open it for 100 s. SQLite writes beside it too."""
    reason = None
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    else:
        for path in (database.parent, *([database] if database.exists() else [])):
            if not os.access(path, os.W_OK):
                reason = f"{path} may not be written"
    if reason is not None:
        raise ConnectionError(
            f"the tracking database {database} cannot be used: {reason}. Accepted is one in a folder that this user may"
            " write: set --tracking.uri or MLFLOW_TRACKING_URI, or start the job elsewhere"
        )


def _probe(tracking_uri: str, timeout_seconds: float) -> None:
    parts = urlsplit(tracking_uri)
    if parts.scheme in ("http", "https"):
        _probe_server(tracking_uri, timeout_seconds)
    elif parts.hostname and (port := parts.port or _DATABASE_PORTS.get(parts.scheme.partition("+")[0])):
        socket.create_connection((parts.hostname, port), timeout=timeout_seconds).close()


def _probe_server(tracking_uri: str, timeout_seconds: float) -> None:
    """Any answer will do, also 403: who may in is MLflow's to say, with its own settings for TLS."""
    parts = urlsplit(tracking_uri)
    without_user = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        urllib.request.urlopen(f"{without_user}/health", timeout=timeout_seconds).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _GATEWAY_ERRORS:
            raise
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):
            raise
