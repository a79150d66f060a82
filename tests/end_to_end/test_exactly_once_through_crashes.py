"""Processes of a run are killed for real: every step of what survives was trained on what the plan says, once."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.train.checkpoints import latest_checkpoint, load_data_state

from tests.damaged_dataset import damage_videos
from tests.end_to_end.recorded_run import RecordedRun, Samples
from tests.orchestration.test_visits import make_plan
from tests.processes import descendants
from tests.simulated_run import reference_order

pytestmark = pytest.mark.slow


@pytest.fixture
def run(small_dataset, tmp_path) -> RecordedRun:
    return RecordedRun(folder=str(tmp_path), dataset=small_dataset.uri)


def planned(run: RecordedRun, dataset: ShardedDataset) -> dict[int, Samples]:
    """Each step's samples in a run that nothing disturbs."""
    plan = make_plan(
        dataset,
        seed=0,
        num_epochs=run.num_epochs,
        global_batch_size=run.global_batch_size,
        worker_counts=(run.num_workers,),
        num_row_groups_per_window=4,
        num_samples_per_visit=run.num_samples_per_visit,
    )
    order, size = reference_order(plan), run.global_batch_size
    return {step + 1: sorted(order[step * size : (step + 1) * size]) for step in range(plan.num_steps)}


def check_exactly_once(run: RecordedRun, dataset: ShardedDataset) -> None:
    """Each step as planned, and the last checkpoint accounts for every epoch."""
    assert run.history() == planned(run, dataset)
    checkpoint = latest_checkpoint(run.run_uri)
    assert checkpoint is not None
    assert load_data_state(checkpoint).consumed.num_samples == run.num_epochs * len(dataset.videos)


def test_whatever_is_killed_each_sample_is_trained_on_once(run, small_dataset):
    """In one run after the other: a decode worker, one of two training workers, the driver with all that it started,
    in the moment in which Ray writes its list of checkpoints; then it goes on with one worker. The batches are those of
    a run that nothing disturbs."""
    run = replace(run, num_samples_per_visit=3)
    with run.started(num_workers=2, held_step=24) as process:
        run.wait_until(lambda: descendants(process.pid, "ReadClips"), process)
        descendants(process.pid, "ReadClips")[0].kill()
        run.wait_until(lambda: run.last_checkpointed_step() >= 8, process)
        assert run.num_attempts() == 1
        descendants(process.pid, "RayTrainWorker")[0].kill()
        run.wait_until(lambda: run.num_attempts() == 2 and run.last_checkpointed_step() >= 20, process)
    run.checkpoint_list.write_text(run.checkpoint_list.read_text()[:100])
    with run.started(num_workers=1) as process:
        run.finish(process)
    assert run.num_attempts() == 3
    check_exactly_once(run, small_dataset)


def test_the_controller_is_killed(run, small_dataset):
    """Of Ray Train, which starts all others anew but not itself: another one goes on from the last checkpoint."""
    with run.started(held_step=12) as process:
        run.wait_until(lambda: run.last_checkpointed_step() >= 4, process)
        descendants(process.pid, "TrainController")[0].kill()
        run.let_go()
        run.finish(process)
    assert run.num_attempts() == 2
    check_exactly_once(run, small_dataset)


def test_a_node_is_killed(run, small_dataset):
    """Its raylet, with a training worker of two and what was decoded there: the other nodes go on from the last
    checkpoint, without an operator."""
    with run.started(num_workers=2, held_step=12, num_cpus_of_nodes=(1, 1, 1, 1)) as process:
        run.wait_until(lambda: run.last_checkpointed_step() >= 4, process)
        raylets = json.loads((Path(run.folder) / "nodes.json").read_text())
        used = {record["node_id"] for record in run.records()}
        os.kill(next(raylet for node_id, raylet in raylets.items() if node_id in used), signal.SIGKILL)
        run.let_go()
        run.finish(process)
    assert run.num_attempts() == 2
    check_exactly_once(run, small_dataset)


def test_what_damage_leaves_over_is_trained_on_at_the_end(small_dataset, tmp_path):
    """Two damaged videos, and an iteration over the data set that ends every 24 samples with less than a batch: all
    undamaged samples come, but for less than one batch."""
    damaged = damage_videos(small_dataset, tmp_path / "damaged", {5, 11})
    run = RecordedRun(folder=str(tmp_path), dataset=damaged, max_samples_per_execution=24, num_epochs=3)
    with run.started() as process:
        run.finish(process)
    samples = [sample for step in run.history().values() for sample in step]
    good = [(epoch, video) for epoch in range(3) for video in range(24) if video not in (5, 11)]
    assert len(set(samples)) == len(samples)
    assert set(samples) <= set(good)
    assert len(samples) == len(good) // 8 * 8
    assert run.num_attempts() == 2
