"""The outboxes of earlier versions: one JSONL file, in a local run's folder, or for a run in an object store in the
home of the machine that its first worker ran on."""

from pathlib import Path

from rspnet_platform import storage
from rspnet_platform.atomic_files import replacing
from rspnet_platform.tracking.metric_outbox import MetricOutbox, parse


def adopt_earlier(outbox: MetricOutbox, run_id: str) -> None:
    """Moves what waits there of this run into `outbox`. A last line that a crash cut short is left out."""
    path = earlier_path(outbox.uri)
    if not path.is_file():
        return
    lines = [line + "\n" for line in path.read_text().split("\n")[:-1]]
    points = parse("".join(lines), str(path))
    own = [point for point in points if point.run_id == run_id]
    if own:
        outbox.append(own)
    _keep(path, [line for line, point in zip(lines, points, strict=True) if point.run_id != run_id])


def earlier_path(uri: str) -> Path:
    """Where the outbox `uri` was, for this machine."""
    if not storage.is_remote(uri):
        return Path(f"{uri}.jsonl")
    run_uri, name = uri.rsplit("/", 1)
    return Path.home() / ".cache" / "rspnet" / run_uri.rsplit("/", 1)[1] / f"{name}.jsonl"


def _keep(path: Path, lines: list[str]) -> None:
    """Another run of the same name, in another bucket, had the same file."""
    if not lines:
        path.unlink()
        return
    with replacing(str(path)) as file:
        file.write("".join(lines).encode())
