"""Where runs are tracked; costs no mlflow."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from rspnet_platform.tracking.redaction import redact

_ACCEPTED = (
    "http(s)://HOST:PORT of an MLflow server, sqlite:///PATH, a path that ends in .db, .sqlite or .sqlite3, "
    "or postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE"
)
_DATABASE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_QUOTED = {"%": "%25", "?": "%3F", "#": "%23"}


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """`uri` None: MLFLOW_TRACKING_URI from the environment, else SQLite's `mlflow.db` in the home folder."""

    uri: str | None = None
    experiment: str = "rspnet"
    model_name: str = "rspnet"

    def __post_init__(self) -> None:
        for name in ("experiment", "model_name"):
            value = getattr(self, name)
            if not value.strip() or "/" in value or ":" in value:
                raise ValueError(f"tracking.{name} is {value!r}; accepted are names without '/' and ':'")


def resolve_tracking_uri(config: TrackingConfig, home: Path) -> str:
    """The URI that holds in every process: local paths are absolute, since Ray changes its workers' folder.

    Raises ValueError for a folder (MLflow 3 refuses file stores) and for a SQLite database in memory.
    """
    uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI") or str(Path(home).resolve() / "mlflow.db")
    if uri.startswith("sqlite:"):
        return _absolute_sqlite_uri(uri)
    if "://" in uri and not uri.startswith("file:"):
        return uri.rstrip("/") if uri.startswith(("http://", "https://")) else uri
    path = Path(uri).expanduser()
    if uri.startswith("file:") or path.suffix not in _DATABASE_SUFFIXES or path.is_dir():
        raise ValueError(f"tracking.uri is {redact(uri)!r}, where MLflow 3 cannot keep runs; accepted: {_ACCEPTED}")
    return _sqlite_uri(path)


def sqlite_path(tracking_uri: str) -> Path | None:
    """The database file of an absolute SQLite URI, or None for a server."""
    if not tracking_uri.startswith("sqlite:"):
        return None
    return Path(_path_in(tracking_uri))


def _path_in(sqlite_uri: str) -> str:
    return unquote(sqlite_uri.partition("?")[0].partition(":///")[2])


def _sqlite_uri(path: Path) -> str:
    """Of a path that may hold what means something in a URI; SQLAlchemy decodes it."""
    return f"sqlite:///{''.join(_QUOTED.get(character, character) for character in str(path.resolve()))}"


def _absolute_sqlite_uri(uri: str) -> str:
    _, question_mark, query = uri.partition("?")
    path = _path_in(uri)
    if not path or ":memory:" in path:
        raise ValueError(
            f"tracking.uri is {uri!r}: every process would have a database of its own; accepted: {_ACCEPTED}"
        )
    return f"{_sqlite_uri(Path(path).expanduser())}{question_mark}{query}"
