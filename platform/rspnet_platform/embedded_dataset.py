"""The data set that a job without data takes: rendered videos, ingested like anybody's own."""

from pathlib import Path

from rspnet_platform.command_line import say
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.progress import ingest_progress
from rspnet_platform.lease import leased


def embedded_dataset(home: Path) -> str:
    """Renders and ingests it below `home`, or finds it there; returns its folder."""
    from rspnet_platform.synthetic_videos import SyntheticVideosConfig, render

    folder = home / "runs" / "embedded_dataset"
    say(f"no --data.shards: the embedded data set in {folder}, rendered where it is not there yet")
    config = IngestConfig(source=str(folder / "videos"), output=str(folder / "shards"), run_on="local")
    with leased(str(folder), waits=True), ingest_progress() as progress:  # two first jobs may start at once
        render(Path(config.source), SyntheticVideosConfig())
        return ingest(config, progress).output
