"""A sweep on a Ray of two nodes, each with an address of its own."""

import json
import tempfile
from pathlib import Path

import pytest

from tests.end_to_end.pretrain_job import kill_group
from tests.end_to_end.sweep_job import SweepProcess
from tests.ray_nodes import two_ray_nodes, wait_until

SETTINGS = {
    "search": "optimizer.learning_rate=choice:0.05,0.1",
    "scaling.num-workers": 2,
    "sweep.max-concurrent-trials": 2,
    # Which of two that run at once comes to a rung first, and so whether the other is stopped, is chance.
    "sweep.reduction-factor": 0,
    "sweep.num-repeated": 0,
    "sweep.num-final-epochs": 0,
    "training.num-epochs": 5,
}
TIMEOUT_SECONDS = 600


@pytest.mark.slow
def test_trials_of_several_workers_share_two_nodes(small_dataset, tmp_path, empty_database):
    """Two at once, of two workers each, on more CPUs than either node has alone; their clips are decoded once."""
    with tempfile.TemporaryDirectory() as short, two_ray_nodes(Path(short), num_cpus=3) as nodes:
        job = SweepProcess(folder=tmp_path, dataset=small_dataset.uri, settings=SETTINGS, environment=nodes.environment)
        job.database.write_bytes(empty_database.read_bytes())
        wait_until(nodes.has_worker, [nodes.head, nodes.worker])
        process = job.start()
        try:
            assert process.wait(timeout=TIMEOUT_SECONDS) == 0, (tmp_path / "stderr.txt").read_text()[-4000:]
        finally:
            if process.poll() is None:
                kill_group(process)
    result = job.printed()
    assert result["trials"] == {"finished": 2}
    assert json.loads(Path(result["packed_clips"], "pack.json").read_text())["num_damaged_videos"] == 0
    assert "2 at once" in (tmp_path / "stderr.txt").read_text()
    for number in range(2):
        assert [score["step"] for score in job.trial(number)["scores"]][-1] == 15
