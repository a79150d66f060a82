"""Whatever crashes, wherever, and however many workers there are after it: each video of each epoch is trained on once,
in the batches of the undisturbed run."""

from dataclasses import replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.stream_plan import StreamPlan

from tests.simulated_run import Sample, SimulatedRun, make_locations, reference_order

deterministic = settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@st.composite
def plans(draw, max_batch: int = 30, samples_per_execution: tuple[int, ...] = (1, 20, 50, 500_000)) -> StreamPlan:
    """Any run of up to 5 epochs of up to 30 videos."""
    num_videos = draw(st.integers(2, 30))
    videos = draw(st.sets(st.integers(0, num_videos - 1), min_size=1))
    batch = draw(st.integers(1, min(max_batch, len(videos))))
    counts = draw(st.sets(st.sampled_from([n for n in range(1, batch + 1) if batch % n == 0]), min_size=1, max_size=3))
    return StreamPlan(
        dataset_uri="/data",
        locations=make_locations(num_videos, draw(st.integers(1, 6))),
        video_indices=np.array(sorted(videos)),
        seed=draw(st.integers(0, 3)),
        num_epochs=draw(st.integers(1, 5)),
        global_batch_size=batch,
        worker_counts=tuple(sorted(counts)),
        num_row_groups_per_window=draw(st.integers(1, 4)),
        num_samples_per_visit=draw(st.integers(1, 5)),
        max_samples_per_execution=draw(st.sampled_from(samples_per_execution)),
        consumed=ConsumedVideos(num_videos=num_videos, num_videos_per_epoch=len(videos)),
    )


@st.composite
def interrupted_runs(draw, with_damage: bool = False) -> SimulatedRun:
    """A plan's run, over after up to five crashes, each with another number of workers.

    With damage, executions that hold more undamaged samples than a batch, as any of half a million does.
    """
    plan = draw(plans(max_batch=10, samples_per_execution=(50, 500_000)) if with_damage else plans())
    planned = reference_order(plan)[: plan.num_steps * plan.global_batch_size]
    damaged = draw(st.sets(st.sampled_from(planned), max_size=8)) if with_damage else set()
    run = SimulatedRun(plan=plan, damaged=damaged, num_steps_per_checkpoint=draw(st.integers(1, 6)))
    for num_steps in draw(st.lists(st.integers(0, plan.num_steps), max_size=5)):
        run.start(draw(st.sampled_from(plan.worker_counts)), num_steps_before_crash=num_steps)
    run.start(draw(st.sampled_from(plan.worker_counts)))
    return run


def batches(samples: list[Sample], size: int) -> list[list[Sample]]:
    """Whole ones alone."""
    return [sorted(samples[first : first + size]) for first in range(0, len(samples) - size + 1, size)]


@given(plans())
@deterministic
def test_the_order_is_the_documented_one(plan):
    """Against a slow reference; every sample of every epoch is in it once, and shares cut it at whole blocks."""
    expected = reference_order(plan)
    assert sorted(expected) == [(e, v) for e in range(plan.num_epochs) for v in plan.video_indices.tolist()]
    found = []
    for index in range(plan.num_executions):
        shares = list(plan.execution(index).in_shares())
        assert all(len(epochs) % plan.num_rows_per_block == 0 for epochs, _ in shares)
        found += [s for epochs, videos in shares for s in zip(epochs.tolist(), videos.tolist(), strict=True)]
    assert found == expected[: plan.num_steps * plan.global_batch_size]


@given(interrupted_runs())
@deterministic
def test_an_interrupted_run_trains_on_the_batches_of_an_undisturbed_one(run):
    """Crashes before the first checkpoint, between two, at epoch ends and after the last; one and several executions;
    any number of workers and of samples a visit."""
    assert run.history == batches(reference_order(run.plan), run.plan.global_batch_size)


@given(interrupted_runs(with_damage=True))
@deterministic
def test_damage_costs_the_damaged_samples_alone(run):
    """Nothing twice, nothing damaged; what is missed beside it is less than one batch, once what executions left over
    has been trained on too."""
    plan = run.plan
    num_starts = 0
    while run.num_undamaged_left() >= plan.global_batch_size:
        run.start(plan.worker_counts[0])
        num_starts += 1
        assert num_starts <= plan.num_steps
    trained = [sample for step in run.history for sample in step]
    planned = reference_order(plan)[: plan.num_steps * plan.global_batch_size]
    assert len(set(trained)) == len(trained)
    assert not set(trained) & set(run.damaged)
    assert len(set(planned) - set(trained) - set(run.damaged)) < plan.global_batch_size


@given(plans())
@deterministic
def test_no_batch_holds_a_video_twice(plan):
    """Two samples of one visit are at least a batch apart: contrastive losses would take them for different videos.
    Where some epochs end and the next begin a video may follow itself, with one sample a visit too."""
    k = plan.num_samples_per_visit
    for batch in batches(reference_order(plan), plan.global_batch_size):
        visits = [(epoch // k, video) for epoch, video in batch]
        assert len(set(visits)) == len(visits)


@given(plans(), st.data())
@deterministic
def test_a_visit_is_one_share(plan, data):
    """Undisturbed or resumed, a share holds all of a video's samples that are left, where blocks allow it; so that each
    is decoded once. Damage apart, what is left is the end of the order."""
    num_done = data.draw(st.integers(0, plan.num_steps)) * plan.global_batch_size
    plan = resumed(replace(plan, max_samples_per_execution=500_000), reference_order(plan)[:num_done])
    num_cut, seen = 0, set()
    for epochs, videos in plan.execution(0).in_shares():
        visits = set(zip((epochs // plan.num_samples_per_visit).tolist(), videos.tolist(), strict=True))
        num_cut += len(visits & seen)
        seen |= visits
    if plan.num_rows_per_block == 1:
        assert num_cut == 0
    elif plan.num_epochs % plan.num_samples_per_visit == 0:  # otherwise the last epochs' groups may begin in a block
        assert num_cut < plan.num_rows_per_block


def resumed(plan: StreamPlan, done: list[Sample]) -> StreamPlan:
    consumed = ConsumedVideos(
        num_videos=plan.consumed.num_videos, num_videos_per_epoch=plan.consumed.num_videos_per_epoch
    )
    if done:
        consumed.mark(*np.array(done).T)
    return replace(plan, consumed=consumed)
