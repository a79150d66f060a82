"""An ingest on a real Ray cluster of two nodes equals one on this machine, also when a node is lost on the way."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from rspnet_platform.shards.dataset import open_dataset

from tests.orchestration.test_ingest_pipeline import REPOSITORY, contents
from tests.ray_nodes import RayNodes, two_ray_nodes

pytestmark = pytest.mark.slow
DRIVER = """
import sys
from rspnet_platform.ingest.pipeline import ingest
from tests.ingest_on_ray import cluster_config
source, output = sys.argv[1:]
if __name__ == "__main__":
    ingest(cluster_config(source, output, run_on="auto"), lambda *numbers: print(*numbers, flush=True))
"""


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayNodes]:
    folder = Path(tempfile.mkdtemp(prefix="rn-"))  # sockets need a short path
    try:
        with two_ray_nodes(folder, num_cpus=2) as nodes:
            yield nodes
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start_driver(nodes: RayNodes, videos: Path, output: Path) -> subprocess.Popen:
    """A driver that joins the nodes by RAY_ADDRESS alone; it prints its progress."""
    path = f"{REPOSITORY}:{REPOSITORY / 'platform'}"
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(videos), str(output)],
        env=nodes.environment | {"PYTHONPATH": path},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )


def wait_for_progress(driver: subprocess.Popen, num_done: int) -> None:
    assert driver.stdout is not None
    for line in driver.stdout:
        if line[0].isdigit() and int(line.split()[0]) >= num_done:
            return
    raise AssertionError(f"the driver ended with status {driver.wait()}")


def finish(driver: subprocess.Popen) -> None:
    output, _ = driver.communicate(timeout=300)
    assert driver.returncode == 0, output


def test_two_nodes_give_the_bytes_of_one_machine(
    nodes: RayNodes, many_videos: Path, ingested_locally: dict[str, bytes], tmp_path: Path
) -> None:
    """The cluster of RAY_ADDRESS is taken by itself; a driver killed in the middle goes on to the same bytes."""
    driver = start_driver(nodes, many_videos, tmp_path / "out")
    wait_for_progress(driver, 25)
    driver.kill()
    driver.wait()
    assert not (tmp_path / "out" / "dataset.json").exists()
    finish(start_driver(nodes, many_videos, tmp_path / "out"))
    assert contents(tmp_path / "out") == ingested_locally


def test_a_lost_node_is_made_up_for(
    nodes: RayNodes, many_videos: Path, ingested_locally: dict[str, bytes], tmp_path: Path
) -> None:
    """The raylet that holds most of the transcoded videos is killed before their shard is written: they are transcoded
    again on what is left, and the bytes are the same. (Last in this file: the node stays dead.)"""
    driver = start_driver(nodes, many_videos, tmp_path / "out")
    wait_for_progress(driver, 12)
    nodes.kill_raylet_of_worker()
    finish(driver)
    assert contents(tmp_path / "out") == ingested_locally
    assert len(open_dataset(str(tmp_path / "out")).videos) == 40
