"""Tasks whose loss looks across workers: two real gloo processes against one. They start once, for all tasks."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rspnet_core.distributed import mean_over_workers
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.task import PretextTask
from rspnet_core.pretext.task_config import TaskConfig
from rspnet_core.train_step import train_step
from tests.core.tiny_tasks import ALL, SGD, build, context, planned_batch
from tests.gloo import on_each_worker

GLOBAL_BATCH, NUM_STEPS = 8, 3
NAMES = [
    "appearance_instance",
    "cvrl",
    "frame_order",
    "moco",
    "moco, three clips",
    "pace, contrast",
    "relative_speed",
    "simclr",
    "simclr, three clips",
]
"""Those that compare videos or exchange clips between workers, and one whose draws belong to its videos."""

SHUFFLED = ["appearance_instance", "moco", "relative_speed", "rspnet"]


def config_of(name: str) -> TaskConfig:
    """Without dropout, whose draws belong to workers."""
    return replace(ALL[name], dropout=0.0) if hasattr(ALL[name], "dropout") else ALL[name]


def build_task(name: str) -> PretextTask:
    """Batch norm takes no batch's statistics, in which workers differ from one; all else is as in training."""
    task = build(config_of(name))
    for module in task.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm3d):
            module.eval()
    return task


def run(name: str, rows: slice, *, parallel: bool) -> dict:
    """Everything that three steps leave behind: reports, gradients of the last, the whole state."""
    task = build_task(name)
    model = DistributedDataParallel(task, broadcast_buffers=False) if parallel else task
    optimizer, reports = build_optimizer(task, SGD, GLOBAL_BATCH), []
    for step in range(NUM_STEPS):
        videos = range(GLOBAL_BATCH * step, GLOBAL_BATCH * (step + 1))
        report = train_step(
            task=task,
            wrapped=model,
            optimizer=optimizer,
            config=SGD,
            global_batch_size=GLOBAL_BATCH,
            micro_batches=[planned_batch(config_of(name), videos[rows])],
            context=context(step, num_steps=10, seed=5),
        )
        reports.append({"loss": report.loss, **report.metrics})
        reports[-1].pop("feature_std")  # Of each worker's own batch.
    gradients = {key: parameter.grad for key, parameter in task.named_parameters() if parameter.grad is not None}
    return {"reports": reports, "gradients": gradients, "state": task.state_dict()}


def company_of_keys(name: str, rows: slice, **changes) -> list[list[list[int]]]:
    """Of two steps, the videos in each batch that this worker's key network is given."""
    config = replace(ALL[name], **changes)
    task, whole, seen = build(config), planned_batch(config, range(GLOBAL_BATCH)), []
    task.get_submodule("key_encoder").register_forward_pre_hook(lambda _, inputs: seen[-1].append(inputs[0]))
    for step in range(2):
        seen.append([])
        task(planned_batch(config, range(GLOBAL_BATCH)[rows]), context(step, seed=5))
    is_same = [[(whole.clips == clips[:, None, None]).flatten(3).all(dim=3) for clips in each] for each in seen]
    return [[same.any(dim=2).int().argmax(dim=1).tolist() for same in each] for each in is_same]


def worker(worker_rank: int) -> dict[str, Any]:
    mine = slice(worker_rank * 4, worker_rank * 4 + 4)
    found: dict[str, Any] = {name: run(name, mine, parallel=True) for name in NAMES}
    found["mean_rank"] = mean_over_workers(torch.tensor([float(worker_rank)]))
    for name in SHUFFLED:
        found[f"{name}, shuffled"] = company_of_keys(name, mine)
        found[f"{name}, not shuffled"] = company_of_keys(name, mine, shuffle_batch_norm=False)
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return on_each_worker(worker, tmp_path_factory.mktemp("gloo_tasks"))


@pytest.fixture(scope="module")
def single() -> dict:
    torch.set_num_threads(1)
    return {name: run(name, slice(None), parallel=False) for name in NAMES}


def test_there_were_two_workers(found: list[dict]):
    """Their ranks' mean is a half: they did hear of each other."""
    assert [each["mean_rank"].item() for each in found] == [0.5, 0.5]


@pytest.mark.parametrize("name", NAMES)
def test_losses_and_metrics_equal_those_of_one_process(found: list[dict], single: dict, name: str):
    """In each of three steps, of which the later ones see queues and networks that the first ones left."""
    for each in found:
        for report, expected in zip(each[name]["reports"], single[name]["reports"], strict=True):
            assert report == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_those_of_one_process(found: list[dict], single: dict, name: str):
    """For every trained parameter, on both workers."""
    expected = single[name]["gradients"]
    assert max(gradient.abs().max() for gradient in expected.values()) > 1e-3
    for each in found:
        assert each[name]["gradients"].keys() == expected.keys()
        for key, gradient in expected.items():
            torch.testing.assert_close(each[name]["gradients"][key], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_states_equal_those_of_one_process(found: list[dict], single: dict, name: str):
    """Parameters, momentum copies, queued keys with their videos, in their order."""
    expected = single[name]["state"]
    for each in found:
        assert each[name]["state"].keys() == expected.keys()
        for key, tensor in expected.items():
            torch.testing.assert_close(each[name]["state"][key], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["appearance_instance", "moco", "moco, three clips"])
def test_queues_are_full_and_the_same_on_all_workers(found: list[dict], name: str):
    """To the last bit, or workers would drift apart."""
    queues = [each[name]["state"]["queue.features"] for each in found]
    assert torch.equal(*queues)
    assert -1 not in found[0][name]["state"]["queue.video_index"]


@pytest.mark.parametrize("name", SHUFFLED)
def test_keys_are_made_in_shuffled_company(found: list[dict], name: str):
    """Each key network sees videos of both workers, in another order for each clip and step; unless that is off."""
    orders = [
        tuple(first + second)
        for steps in zip(*(each[f"{name}, shuffled"] for each in found), strict=True)
        for first, second in zip(*steps, strict=True)
    ]
    assert len(orders) == len(set(orders)) == 4
    assert all(sorted(order) == list(range(GLOBAL_BATCH)) for order in orders)
    assert all(set(order[:4]) != {0, 1, 2, 3} for order in orders)
    assert found[0][f"{name}, not shuffled"] == [[[0, 1, 2, 3]] * 2] * 2
    assert found[1][f"{name}, not shuffled"] == [[[4, 5, 6, 7]] * 2] * 2
