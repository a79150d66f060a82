"""Losses that look across workers: two real gloo processes against one. They start once, as in `test_distributed`."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from rspnet_core.distributed import all_gather_with_gradient, mean_over_workers, rank
from rspnet_core.losses.nt_xent import Reduction, nt_xent
from tests.gloo import on_each_worker

GLOBAL_BATCH = 6
ROWS = torch.arange(GLOBAL_BATCH * 2.0).reshape(GLOBAL_BATCH, 2)
REDUCTIONS: tuple[Reduction, ...] = ("mean", "sum_of_directions")
CASES: list[tuple[int, Reduction]] = [(num_views, reduction) for num_views in (2, 3) for reduction in REDUCTIONS]


def case_name(num_views: int, reduction: str) -> str:
    return f"{num_views} views, {reduction}"


def network_step(num_views: int, reduction: Reduction, rows: slice, *, parallel: bool) -> dict[str, Tensor]:
    """Loss, metric and every parameter's gradient of a small network on these rows of the global batch."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(num_views, GLOBAL_BATCH, 5, generator=generator)[:, rows]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 4))
    wrapped = DistributedDataParallel(network) if parallel else network
    result = nt_xent(wrapped(inputs), 0.2, reduction)
    result.loss.backward()
    found = {"metrics": mean_over_workers(torch.stack((result.loss.detach(), result.top1)))}
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None
        found[name] = parameter.grad
    return found


def gathered_gradients(mine: slice) -> dict[str, Tensor]:
    """What reaches a worker's rows when each worker weights all rows in its own way."""
    rows = ROWS[mine].clone().requires_grad_()
    gathered = all_gather_with_gradient(rows)
    [of_sum] = torch.autograd.grad((rank() + 1) * gathered.sum(), rows)  # A gradient of stride 0.
    weights = (rank() + 1) * ROWS.T
    [of_weights] = torch.autograd.grad((all_gather_with_gradient(rows).T * weights).sum(), rows)
    return {"gathered": gathered.detach(), "of_sum": of_sum, "of_weights": of_weights}


def worker(worker_rank: int) -> dict:
    mine = slice(worker_rank * 3, worker_rank * 3 + 3)
    return {
        **gathered_gradients(mine),
        **{case_name(*case): network_step(*case, mine, parallel=True) for case in CASES},
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    return on_each_worker(worker, tmp_path_factory.mktemp("gloo_losses"))


def test_gathering_keeps_the_order_of_ranks_and_sums_gradients_over_workers(found: list[dict]):
    """Weights 1 and 2 of the two workers make 3; a gradient that is a transposed or expanded view arrives whole."""
    assert all(torch.equal(each["gathered"], ROWS) for each in found)
    assert torch.equal(torch.cat([each["of_sum"] for each in found]), torch.full_like(ROWS, 3))
    assert torch.equal(torch.cat([each["of_weights"] for each in found]), 3 * ROWS)


def test_one_worker_gathers_its_own_rows_with_their_gradient():
    """Without a process group the rows themselves come back."""
    rows = ROWS.clone().requires_grad_()
    gathered = all_gather_with_gradient(rows)
    assert torch.equal(gathered, rows)
    gathered.square().sum().backward()
    assert torch.equal(rows.grad, 2 * ROWS)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case_name(*case))
def test_nt_xent_on_two_workers_equals_one(found: list[dict], case: tuple[int, Reduction]):
    """Loss, metric and the gradient of every parameter after DistributedDataParallel's mean."""
    single = network_step(*case, slice(None), parallel=False)
    for each in found:
        assert each[case_name(*case)].keys() == single.keys()
        for name, expected in single.items():
            torch.testing.assert_close(each[case_name(*case)][name], expected, rtol=1e-5, atol=1e-7)
    assert single["2.weight"].abs().max() > 1e-3
