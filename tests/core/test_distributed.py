"""Two real gloo processes against one. They start once; each test looks at one thing they brought back."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rspnet_core.distributed import (
    all_gather_no_grad,
    mean_over_workers,
    rank,
    run_shuffled,
    shuffled_order,
    world_size,
)
from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.rspnet import RSPNet
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.task import PretextBatch, StepContext
from rspnet_core.train_step import NonFiniteLossError, train_step
from tests.gloo import NUM_WORKERS, on_each_worker

GLOBAL_BATCH = 8
CONFIG = OptimizerConfig(learning_rate=0.01, base_batch_size=GLOBAL_BATCH)
ROWS = torch.arange(GLOBAL_BATCH * 3.0).reshape(GLOBAL_BATCH, 3).square()


def build_task() -> RSPNet:
    """In eval mode batch norm takes no batch's statistics: all that workers differ in from one."""
    torch.manual_seed(0)
    return RSPNet(RSPNetConfig(encoder="tiny", embedding_dim=8, queue_size=20)).eval()


def build_batch(rows: slice) -> PretextBatch:
    clips = torch.randn(GLOBAL_BATCH, 3, 3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    return PretextBatch(
        clips=clips[rows],
        playback_speeds=torch.ones(GLOBAL_BATCH, 3)[rows],
        labels=torch.zeros(GLOBAL_BATCH, 1).long()[rows],
        video_index=torch.arange(GLOBAL_BATCH)[rows],
    )


def two_steps(task: RSPNet, model: nn.Module, rows: slice) -> dict:
    """Everything that two steps leave behind: reports, gradients of the second, the whole state."""
    optimizer = build_optimizer(task, CONFIG, GLOBAL_BATCH)
    reports = [
        train_step(
            task=task,
            wrapped=model,
            optimizer=optimizer,
            config=CONFIG,
            global_batch_size=GLOBAL_BATCH,
            micro_batches=[build_batch(rows)],
            context=StepContext(step=step, num_steps=10, seed=5),
        )
        for step in range(2)
    ]
    gradients = {name: p.grad for name, p in task.named_parameters() if p.grad is not None}
    metrics = [{"loss": report.loss, **report.metrics} for report in reports]
    return {"metrics": metrics, "gradients": gradients, "state": task.state_dict()}


def centred(rows: Tensor) -> Tensor:
    """The heart of batch norm: what comes out of a row depends on the company it is in."""
    return rows - rows.mean(dim=0)


def refused_by_all() -> bool:
    """One worker's loss is not a number; does this one stop too?"""
    task = build_task()
    if rank() == 1:
        nn.init.constant_(task.speed_head.layers.get_parameter("0.weight"), float("nan"))
    try:
        two_steps(task, task, slice(0, 4))
    except NonFiniteLossError as error:
        return error.step == 0
    return False


def worker(worker_rank: int) -> dict:
    mine = slice(worker_rank * 4, worker_rank * 4 + 4)
    key = {"seed": 5, "step": 3, "purpose": "key"}
    task = build_task()
    return {
        "rank_and_size": (rank(), world_size()),
        "gathered": all_gather_no_grad(ROWS[mine]),
        "mean": mean_over_workers(torch.tensor([float(worker_rank), 2.0])),
        "shuffled_alone": run_shuffled(lambda rows: rows * 2, ROWS[mine], **key),
        "shuffled_centred": run_shuffled(centred, ROWS[mine], **key),
        "refused": refused_by_all(),
        **two_steps(task, DistributedDataParallel(task, broadcast_buffers=False), mine),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return on_each_worker(worker, tmp_path_factory.mktemp("gloo"))


@pytest.fixture(scope="module")
def single() -> dict:
    task = build_task()
    return two_steps(task, task, slice(None))


def test_without_a_process_group_there_is_one_worker():
    """Rank 0 of 1; gathering, averaging and shuffling hand back what they were given."""
    assert (rank(), world_size()) == (0, 1)
    assert torch.equal(all_gather_no_grad(ROWS), ROWS)
    assert torch.equal(mean_over_workers(ROWS[0]), ROWS[0])
    assert torch.equal(run_shuffled(centred, ROWS, seed=0, step=0, purpose="key"), centred(ROWS))


def test_gathering_keeps_the_order_of_ranks(found: list[dict]):
    """Both workers hold all rows, rank 0's first."""
    assert [each["rank_and_size"] for each in found] == [(0, 2), (1, 2)]
    assert all(torch.equal(each["gathered"], ROWS) for each in found)
    assert all(each["mean"].tolist() == [0.5, 2.0] for each in found)


def test_shuffling_is_undone(found: list[dict]):
    """A network that looks at each row alone gives each worker exactly its own rows' outputs."""
    assert torch.equal(torch.cat([each["shuffled_alone"] for each in found]), ROWS * 2)


def test_shuffling_changes_the_company_of_batch_statistics(found: list[dict]):
    """Rows are centred on the group that the permutation put them in, not on their own worker's batch."""
    order = shuffled_order(GLOBAL_BATCH, seed=5, step=3, purpose="key")
    expected = torch.empty_like(ROWS)
    for group in order.chunk(NUM_WORKERS):
        expected[group] = centred(ROWS[group])
    result = torch.cat([each["shuffled_centred"] for each in found])
    torch.testing.assert_close(result, expected)
    assert (result - torch.cat([centred(half) for half in ROWS.chunk(2)])).abs().max() > 1


def test_the_order_depends_on_seed_step_and_purpose():
    """A permutation of all rows, equal for equal keys, another for any other key."""
    orders = [
        shuffled_order(64, seed=seed, step=step, purpose=purpose)
        for seed, step, purpose in ((0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b"))
    ]
    assert orders[0].sort().values.tolist() == list(range(64))
    assert torch.equal(orders[0], shuffled_order(64, seed=0, step=0, purpose="a"))
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_losses_of_two_workers_equal_those_of_one(found: list[dict], single: dict):
    """Loss and metrics of both steps, averaged over workers; the second step sees the first one's keys."""
    for each in found:
        for step, expected in enumerate(single["metrics"]):
            reported = {name: value for name, value in each["metrics"][step].items() if name != "feature_std"}
            expected = {name: value for name, value in expected.items() if name != "feature_std"}
            assert reported == pytest.approx(expected, rel=1e-4)


def test_gradients_of_two_workers_equal_those_of_one(found: list[dict], single: dict):
    """For every trained parameter, after an optimizer step, a momentum update and an enqueue."""
    for each in found:
        assert each["gradients"].keys() == single["gradients"].keys()
        for name, gradient in single["gradients"].items():
            torch.testing.assert_close(each["gradients"][name], gradient, rtol=1e-3, atol=1e-5)


def test_queues_and_networks_of_two_workers_equal_those_of_one(found: list[dict], single: dict):
    """The whole state: parameters, momentum copies, queued keys with their videos, the pointer."""
    for each in found:
        for name, tensor in single["state"].items():
            torch.testing.assert_close(each["state"][name], tensor, rtol=1e-3, atol=1e-5)
    assert single["state"]["queue.video_index"].tolist() == [*range(8), *range(8), -1, -1, -1, -1]


def test_a_non_finite_loss_on_one_worker_stops_both(found: list[dict]):
    """No worker is left waiting in the next collective for one that has gone."""
    assert [each["refused"] for each in found] == [True, True]
