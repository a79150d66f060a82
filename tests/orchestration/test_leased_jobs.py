"""Every job that writes a folder refuses one that another job is at work in, before Ray starts."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rspnet_platform.benchmark.benchmark import benchmark
from rspnet_platform.finetune.several_runs import finetune
from rspnet_platform.inference.embedding_job import embed
from rspnet_platform.ingest.pipeline import ingest
from rspnet_platform.lease import Lease, LeaseHeldError, LeaseTimes, is_leased, lease_uri
from rspnet_platform.pretraining import pretrain
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.sweep.sweeping import sweep

from jobs import benchmark as benchmark_job
from jobs import embed as embed_job
from jobs import finetune as finetune_job
from jobs import ingest as ingest_job
from jobs import pretrain as pretrain_job
from jobs import sweep as sweep_job
from tests.labelled_dataset import make_labelled_dataset

SMALL = (
    "--task.clips.num-frames-per-clip 4 --task.view.crop-size 32 --training.global-batch-size 8 --data.shards {dataset}"
    " --tracking.uri sqlite:///{folder}/mlflow.db"
)
RUN = f"{SMALL} --run.storage {{folder}} --run.name held"
SWEEP = f"{SMALL} --sweep.storage {{folder}} --sweep.name held --search task.temperature=choice:0.1,0.2"
PRETRAIN = f"tiny_cpu --task.queue-size 16 {RUN}"
JOBS: dict[str, tuple[Callable, Callable, str]] = {
    "pretrain": (pretrain_job.parse, pretrain, PRETRAIN),
    "finetune": (finetune_job.parse, finetune, f"tiny --model random:tiny --validation.fraction 0.25 {RUN}"),
    "benchmark": (benchmark_job.parse, benchmark, f"--recipes tiny_cpu --protocols knn --task.queue-size 16 {RUN}"),
    "sweep": (sweep_job.parse, sweep, f"custom tiny_cpu --task.queue-size 16 {SWEEP}"),
    "embed": (embed_job.parse, embed, "--model random:tiny --data {dataset} --output {folder}/held"),
    "ingest": (ingest_job.parse, ingest, "--source {videos} --output {folder}/held"),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ShardedDataset:
    return make_labelled_dataset(tmp_path_factory.mktemp("labelled"))


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A folder that another job is at work in, and shows it often."""
    lease = Lease(str(tmp_path / "held"), LeaseTimes(seconds_between_beats=0.3, stale_seconds=60.0))
    lease.acquire(waits=False)
    yield tmp_path / "held"
    lease.release()


@pytest.mark.parametrize("job", JOBS)
def test_a_second_job_in_a_folder_is_refused(
    job: str, held: Path, dataset: ShardedDataset, video_folder: Path, tmp_path: Path, monkeypatch
) -> None:
    """Of each kind, with the folder's name and who has it; nothing is left in it."""
    monkeypatch.setattr("rspnet_platform.runtime.connect", lambda: pytest.fail("Ray was started"))
    parse, work, command = JOBS[job]
    arguments = command.format(dataset=dataset.uri, folder=tmp_path, videos=video_folder)
    with pytest.raises(LeaseHeldError, match=f"{held} is being written by another job: process"):
        work(parse(arguments.split()))
    left = [path.name for path in held.rglob("*") if not path.name.endswith(".partial")]
    assert left == [Path(lease_uri(str(held), 1)).name] or job == "ingest"  # which has noted its command, as ever
    assert is_leased(str(held))


def test_a_finished_ingest_leaves_the_files_of_one_that_adds_to_it(video_folder: Path, tmp_path: Path) -> None:
    """Asked again while another job adds videos: what is being written then is no leftover."""
    config = ingest_job.parse(f"--source {video_folder} --output {tmp_path}/data --short-side 32".split())
    assert not ingest(config).already_complete
    other = Lease(f"{tmp_path}/data", LeaseTimes())
    other.acquire(waits=False)
    being_written = tmp_path / "data" / ".of-another-job.partial"
    being_written.touch()
    assert ingest(config).already_complete
    assert being_written.exists()
    other.release()
    assert ingest(config).already_complete
    assert not being_written.exists()
