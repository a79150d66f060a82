"""The plan of a run's samples: pure arithmetic, tested without a video."""

import numpy as np
import pytest
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.epoch_order import epoch_order
from rspnet_platform.stream.stream_plan import StreamPlan, VideoLocations

NUM_VIDEOS = 100


def make_locations(num_videos: int = NUM_VIDEOS, videos_per_group: int = 7) -> VideoLocations:
    indices = np.arange(num_videos)
    groups = indices // videos_per_group
    return VideoLocations(
        shard_names=("shard-00000.parquet", "shard-00001.parquet"),
        shard=(groups >= 5).astype(np.int64),
        row_group=np.where(groups >= 5, groups - 5, groups),
        row=indices % videos_per_group,
    )


def make_plan(**changes) -> StreamPlan:
    values = {
        "dataset_uri": "/data",
        "locations": make_locations(),
        "video_indices": np.arange(0, NUM_VIDEOS, 2),
        "seed": 3,
        "num_epochs": 4,
        "global_batch_size": 16,
        "worker_counts": (1, 2),
        "num_row_groups_per_window": 3,
        "consumed": ConsumedVideos(num_videos=NUM_VIDEOS, num_videos_per_epoch=50),
    }
    return StreamPlan(**(values | changes))


def all_samples(plan: StreamPlan) -> list[tuple[int, int]]:
    samples = []
    for index in range(plan.num_executions):
        for epochs, videos in plan.execution(index).in_shares():
            samples += list(zip(epochs.tolist(), videos.tolist(), strict=True))
    return samples


def test_epoch_order_is_a_permutation_that_seed_and_epoch_decide():
    """Every video once; equal keys, equal order; another epoch or seed, another order."""
    groups = make_locations().by_row_group(np.arange(NUM_VIDEOS))
    first = epoch_order(groups, seed=1, epoch=0, num_row_groups_per_window=3)
    assert sorted(first.tolist()) == list(range(NUM_VIDEOS))
    assert np.array_equal(first, epoch_order(groups, seed=1, epoch=0, num_row_groups_per_window=3))
    assert not np.array_equal(first, epoch_order(groups, seed=1, epoch=1, num_row_groups_per_window=3))
    assert not np.array_equal(first, epoch_order(groups, seed=2, epoch=0, num_row_groups_per_window=3))


def test_videos_mix_within_a_window_of_row_groups_only():
    """What a reader holds at a time is bounded: three row groups, and all three are mixed."""
    locations = make_locations(84, 7)
    groups = locations.by_row_group(np.arange(84))
    order = epoch_order(groups, seed=0, epoch=0, num_row_groups_per_window=3)
    windows = [set((order[first : first + 21] // 7).tolist()) for first in range(0, 84, 21)]
    assert [len(window) for window in windows] == [3, 3, 3, 3]
    assert set().union(*windows) == set(range(12))
    assert np.any(np.diff(order[:21] // 7) != 0)


def test_each_epoch_has_each_video_once_and_batches_are_full():
    """50 videos, 4 epochs, batches of 16: 12 full batches; only the 8 samples after the last are left."""
    plan = make_plan()
    samples = all_samples(plan)
    assert plan.num_steps == 12
    assert plan.num_samples_dropped == 8
    assert len(samples) == 12 * 16
    assert len(set(samples)) == len(samples)
    for epoch in range(3):
        assert sorted(video for e, video in samples if e == epoch) == list(range(0, 100, 2))


def test_what_is_left_continues_the_same_sequence():
    """After any number of whole batches the plan is the rest of the sequence, for any number of workers."""
    whole = all_samples(make_plan())
    for num_batches in (0, 1, 3, 4, 7, 11, 12):
        done = whole[: num_batches * 16]
        consumed = ConsumedVideos(num_videos=NUM_VIDEOS, num_videos_per_epoch=50)
        if done:
            consumed.mark(np.array([e for e, _ in done]), np.array([v for _, v in done]))
        plan = make_plan(consumed=consumed, worker_counts=(4,))
        assert all_samples(plan) == whole[num_batches * 16 :]


def test_long_runs_are_cut_into_executions():
    """Several iterations over the Ray data set give the same sequence as one."""
    whole = all_samples(make_plan())
    plan = make_plan(max_samples_per_execution=40)
    assert plan.num_executions == 6  # of 32 samples, the largest multiple of a batch
    assert all_samples(plan) == whole
    assert len(plan.execution(6).epochs) == 0


def test_blocks_divide_every_worker_count():
    """One block size serves each number of workers that the run may have."""
    assert make_plan(worker_counts=(1, 2, 4)).num_rows_per_block == 4
    assert make_plan(worker_counts=(2,)).num_rows_per_block == 8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"worker_counts": (3,)}, "does not divide among 3 workers"),
        ({"global_batch_size": 64}, "exceeds the 50 videos"),
    ],
)
def test_impossible_plans_are_refused(changes, message):
    """A batch that cannot be shared out, or that is larger than the data, is a user's mistake."""
    with pytest.raises(ValueError, match=message):
        make_plan(**changes)


def test_locations_name_shard_row_group_and_row():
    """Video 36 of rows of 7 lies in the sixth group, the first of the second shard."""
    assert make_locations().of(np.array([36, 0])) == (
        ("shard-00001.parquet", 0, 1),
        ("shard-00000.parquet", 0, 0),
    )
