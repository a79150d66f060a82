"""Ray Data over our source: order, blocks, exactly once, and damage, with a real Ray."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from rspnet_platform.config import PretrainConfig
from rspnet_platform.shards.row_groups import read_videos
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe, decode_sample
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.cpu_budget import BudgetError
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import StreamPlan, VideoLocations
from rspnet_platform.train.launch import plan_resources
from rspnet_platform.train.train_config import ScalingOptions
from rspnet_platform.validation.validation_options import ValidationOptions

from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import ViewConfig
from tests.damaged_dataset import damage_videos
from tests.simulated_run import reference_order

RECIPE = SampleRecipe(sampler=SpeedPairSampler(num_frames_per_clip=4), views=(ViewConfig(crop_size=32),), seed=7)
BATCH = 8

pytestmark = pytest.mark.usefixtures("ray_of_two_cpus")


def make_plan(dataset, **changes) -> StreamPlan:
    num_videos = dataset.description.num_videos
    values = {
        "dataset_uri": dataset.uri,
        "locations": VideoLocations.from_dataset(dataset),
        "video_indices": np.arange(num_videos),
        "seed": 7,
        "num_epochs": 2,
        "global_batch_size": BATCH,
        "worker_counts": (1, 2),
        "num_row_groups_per_window": 2,
        "consumed": ConsumedVideos(num_videos=num_videos, num_videos_per_epoch=num_videos),
    }
    return StreamPlan(**(values | changes))


def train_on(plan: StreamPlan, num_workers: int, damage: str, num_steps: int | None = None) -> list[list[dict]]:
    """What each of `num_workers` ranks would train on, step by step, as Ray Train's workers iterate; they break off
    after `num_steps`."""
    dataset = clip_dataset(plan, RECIPE, DamageLedger(uri=damage), cpus_per_decode_task=0.5)
    shards = dataset.streaming_split(num_workers, equal=True)
    steps: list[list[dict]] = [[] for _ in range(num_workers)]

    def iterate(rank: int) -> None:
        for _ in range(plan.num_executions):
            for batch in shards[rank].iter_batches(
                batch_size=plan.global_batch_size // num_workers, batch_format="numpy", drop_last=True
            ):
                if len(steps[rank]) == num_steps:
                    return
                steps[rank].append({name: array.copy() for name, array in batch.items()})

    threads = [threading.Thread(target=iterate, args=(rank,)) for rank in range(num_workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return steps


def global_batches(steps: list[list[dict]]) -> list[list[tuple[int, int]]]:
    """Each step's samples over all ranks, as sorted (epoch, video index)."""
    return [
        sorted((int(e), int(v)) for batch in step for e, v in zip(batch["epoch"], batch["video_index"], strict=True))
        for step in zip(*steps, strict=True)
    ]


def planned_batches(plan: StreamPlan) -> list[list[tuple[int, int]]]:
    samples = plan.execution(0)
    pairs = list(zip(samples.epochs.tolist(), samples.video_indices.tolist(), strict=True))
    size = plan.global_batch_size
    return [sorted(pairs[first : first + size]) for first in range(0, len(pairs), size)]


def test_each_step_has_the_planned_batch_whatever_the_number_of_workers(small_dataset, damage_folder):
    """One and two workers train on the same global batches, in the plan's order, and each video once an epoch."""
    plan = make_plan(small_dataset)
    one = train_on(plan, 1, damage_folder)
    two = train_on(plan, 2, damage_folder)
    assert global_batches(one) == planned_batches(plan)
    assert global_batches(two) == planned_batches(plan)
    samples = [sample for batch in global_batches(two) for sample in batch]
    assert sorted(samples) == [(epoch, video) for epoch in range(2) for video in range(24)]


def test_blocks_arrive_as_they_were_cut(small_dataset, damage_folder):
    """Tasks of three blocks of one row: did Ray merge them, two workers would get other batches."""
    plan = make_plan(small_dataset, num_epochs=1, global_batch_size=2, worker_counts=(2,))
    assert (plan.num_rows_per_block, plan.num_videos_per_share) == (1, 3)
    assert global_batches(train_on(plan, 2, damage_folder)) == planned_batches(plan)


def test_samples_are_those_that_the_video_alone_decides(small_dataset, damage_folder):
    """Pixels, views and speeds that arrive through Ray equal a direct decode of the same video and epoch."""
    plan = make_plan(small_dataset, num_epochs=1)
    for batch in train_on(plan, 1, damage_folder)[0]:
        for row, (epoch, video_index) in enumerate(zip(batch["epoch"], batch["video_index"], strict=True)):
            [(shard, row_group, position)] = plan.locations.of(np.array([video_index]))
            [video] = read_videos(small_dataset.uri, shard, row_group, [position])
            direct = decode_sample(video, int(epoch), RECIPE)
            assert np.array_equal(batch["planes"][row], direct.planes)
            assert np.array_equal(batch["view_numbers"][row], direct.view_numbers)
            assert np.array_equal(batch["playback_speeds"][row], direct.playback_speeds)


@pytest.mark.parametrize("num_samples_per_visit", [1, 2])
def test_after_crashes_the_rest_is_trained_on_and_nothing_twice(small_dataset, damage_folder, num_samples_per_visit):
    """Broken off at random, twice, and gone on with by one, two or three workers: the batches of an undisturbed run,
    and no sample twice."""
    plan = make_plan(
        small_dataset,
        num_epochs=3,
        global_batch_size=6,
        worker_counts=(1, 2, 3),
        num_samples_per_visit=num_samples_per_visit,
        max_samples_per_execution=40,
    )
    generator = np.random.default_rng(num_samples_per_visit)
    consumed = ConsumedVideos(num_videos=24, num_videos_per_epoch=24)
    trained: list[list[tuple[int, int]]] = []
    for num_workers, num_steps in zip((3, 1, 2), (*generator.integers(1, 5, size=2), None), strict=True):
        steps = train_on(replace(plan, consumed=consumed), num_workers, damage_folder, num_steps)
        for batch in global_batches(steps):
            consumed.mark(*np.array(batch).T)
            trained.append(batch)
        consumed = ConsumedVideos.from_json(consumed.to_json())
    order = reference_order(plan)
    assert trained == [sorted(order[first : first + 6]) for first in range(0, len(order), 6)]
    assert consumed.num_samples == 3 * 24


def test_a_run_of_several_executions_goes_on_in_order(small_dataset, damage_folder):
    """Ray's private count of executions is still there and counts: without it every execution would be the first."""
    plan = make_plan(small_dataset, max_samples_per_execution=16)
    assert plan.num_executions == 3
    assert global_batches(train_on(plan, 2, damage_folder)) == planned_batches(make_plan(small_dataset))


def test_a_damaged_video_is_listed_and_missed(small_dataset, damage_folder, tmp_path):
    """Its packets do not decode: the ledger names it, nothing takes its place, the others all come."""
    damaged_uri = damage_videos(small_dataset, tmp_path / "damaged", {5})
    plan = make_plan(small_dataset, num_epochs=1, dataset_uri=damaged_uri, global_batch_size=1, worker_counts=(1,))
    videos = [int(batch["video_index"][0]) for batch in train_on(plan, 1, damage_folder)[0]]
    assert sorted(videos) == [video for video in range(24) if video != 5]
    [entry] = DamageLedger(uri=damage_folder).entries()
    assert (entry["video_index"], entry["epoch"]) == (5, 0)


def test_a_run_that_the_cluster_cannot_hold_is_refused_with_the_table():
    """Five workers on two CPUs; Ray would wait for ever."""
    config = PretrainConfig(scaling=ScalingOptions(num_workers="5"))
    with pytest.raises(BudgetError, match=r"training workers +5 +2\.5(?s:.*)the cluster has +2"):
        plan_resources(config)


def test_two_workers_fit_into_two_cpus():
    """With half a CPU each, so that a decode task has room, and the validation of checkpoints too."""
    resources, budget = plan_resources(PretrainConfig(scaling=ScalingOptions(num_workers="2")))
    assert (resources.cpus_per_worker, resources.has_validation, budget.cpus) == (0.5, True, 2.0)


def test_validation_takes_what_is_left_unless_it_is_asked_for():
    """Three workers leave it nothing: by default the run goes without, as it did before there was any."""
    scaling = ScalingOptions(num_workers="3")
    resources, budget = plan_resources(PretrainConfig(scaling=scaling))
    assert (resources.max_workers, resources.has_validation, budget.cpus) == (3, False, 2.0)
    asked_for = ValidationOptions(registers="best")
    with pytest.raises(BudgetError, match=r"validation +1 +0\.5"):
        plan_resources(PretrainConfig(scaling=scaling, validation=asked_for))
    elastic = PretrainConfig(scaling=ScalingOptions(num_workers="1:3"), validation=asked_for)
    resources, _ = plan_resources(elastic)
    assert (resources.max_workers, resources.has_validation) == (2, True)


@pytest.mark.parametrize(("num_workers", "most"), [("1:2", 2), ("1:8", 3)])
def test_an_elastic_run_grows_no_further_than_decoding_allows(num_workers, most):
    """Ray would give it all CPUs and then wait for ever for one to decode on."""
    resources, _ = plan_resources(PretrainConfig(scaling=ScalingOptions(num_workers=num_workers)))
    assert (resources.min_workers, resources.max_workers) == (1, most)
