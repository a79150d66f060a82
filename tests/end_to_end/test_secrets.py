"""Passwords and keys that a job is given stand nowhere that it writes, nor what it uses writes for it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.pretrain_job import PretrainJob
from tests.tracking_server import free_port, mlflow_server

pytestmark = pytest.mark.slow

SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "planted-secret-key",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "RAY_AUTH_TOKEN": "ab12" * 16,
    "MY_API_KEY": "planted-api-key",
}
PASSWORD = "planted-password"


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Its sockets' paths may not be as long as pytest's are."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_no_secret_is_written_anywhere(small_dataset, tmp_path: Path, ray_folder: Path) -> None:
    """A run with a password in its store's address, and the same command once the store is away: neither the streams,
    Ray's logs, the run's folder nor the server's database, artifacts and log hold it, nor a key or a token."""
    settings = {
        "task.clips.num-frames-per-clip": 4,
        "task.view.crop-size": 32,
        "task.queue-size": 16,
        "training.num-epochs": 2,
        "training.global-batch-size": 8,
        "evaluation.num-random-encoders": 1,
    }
    job = PretrainJob(
        folder=tmp_path / "job",
        dataset=small_dataset.uri,
        settings=settings,
        environment={**SECRETS, "RAY_TMPDIR": str(ray_folder)},
    )
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server", free_port()) as uri:
        with_password = uri.replace("://", f"://someone:{PASSWORD}@")
        trained = job.run(tracking__uri=with_password, scaling__num_workers=1)
        assert trained.returncode == 0, trained.stderr[-6000:]
    refused = job.run(tracking__uri=with_password, run__name="other")
    assert refused.returncode == 1
    assert "no answer from the tracking store http://someone:***@127.0.0.1" in refused.stderr
    texts = {"stdout": trained.stdout, "stderr": trained.stderr, "refused": refused.stdout + refused.stderr}
    assert list(ray_folder.rglob("*.log"))
    files = [path for folder in (tmp_path, ray_folder) for path in folder.rglob("*") if path.is_file()]
    found = [
        (str(place), secret)
        for place, content in [*((name, text.encode()) for name, text in texts.items()), *contents(files)]
        for secret in (PASSWORD, *SECRETS.values())
        if secret.encode() in content
    ]
    assert not found


def contents(files: list[Path]) -> Iterator[tuple[Path, bytes]]:
    for path in files:
        if not path.is_symlink():
            yield path, path.read_bytes()
