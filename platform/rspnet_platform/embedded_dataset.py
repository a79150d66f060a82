"""The data set that a job without data takes: rendered videos, ingested like anybody's own."""

from pathlib import Path

from rspnet_platform.command_line import say
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.ingest.progress import ingest_progress


def embedded_dataset(home: Path) -> str:
    """Renders and ingests it below `home`, or finds it there; returns its folder."""
    from rspnet_platform.synthetic_videos import SyntheticVideosConfig, render

    folder = home / "runs" / "embedded_dataset"
    say(f"no --data.shards: the embedded data set in {folder}, rendered where it is not there yet")
    videos = render(folder / "videos", SyntheticVideosConfig())
    config = IngestConfig(source=str(videos), output=str(folder / "shards"), run_on="local")
    with ingest_progress() as progress:
        return ingest(config, progress).output
