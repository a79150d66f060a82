"""What the mathematics needs of other workers. Without a process group there is one worker, of rank 0."""

from collections.abc import Callable

import numpy as np
import torch
import torch.distributed as dist
from jaxtyping import Float, Int64, Shaped
from torch import Tensor
from torch.autograd.function import FunctionCtx

from rspnet_core.random_streams import purpose_key


def world_size() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


@torch.no_grad()
def all_gather_no_grad(tensor: Shaped[Tensor, "batch *rest"]) -> Shaped[Tensor, "global_batch *rest"]:
    """All workers' rows in the order of their ranks. Every worker brings equally many rows; no gradient comes
    back."""
    if world_size() == 1:
        return tensor.detach()
    gathered = tensor.new_empty(world_size() * len(tensor), *tensor.shape[1:])
    dist.all_gather_into_tensor(gathered, tensor.contiguous())
    return gathered


def all_gather_with_gradient(tensor: Float[Tensor, "batch *rest"]) -> Float[Tensor, "global_batch *rest"]:
    """All workers' rows in the order of their ranks, with the gradient of every worker's loss in them.

    The backward pass sums a row's gradient over the workers and hands it to the worker that the row came from. A loss
    that averages over its own worker's anchors, against candidates from all, then needs no factor:
    DistributedDataParallel's mean over workers makes it exactly the gradient of the mean over the global batch.
    (Gradient through the own rows alone would lose what the other workers' anchors say of them.) Every worker brings
    equally many rows, and runs the backward pass if one does: it is a collective too.
    """
    return tensor if world_size() == 1 else _GatherWithGradient.apply(tensor)


class _GatherWithGradient(torch.autograd.Function):
    """Our own, since torch deprecates `torch.distributed.nn.functional.all_gather` in favour of a private module."""

    @staticmethod
    def forward(ctx: FunctionCtx, tensor: Tensor) -> Tensor:  # noqa: ARG004
        return all_gather_no_grad(tensor)

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Tensor) -> Tensor:  # noqa: ARG004
        [gradient] = grad_outputs
        mine = gradient.new_empty(len(gradient) // world_size(), *gradient.shape[1:])
        dist.reduce_scatter_tensor(mine, gradient.contiguous())
        return mine


@torch.no_grad()
def mean_over_workers(values: Float[Tensor, " values"]) -> Float[Tensor, " values"]:
    """Each value's mean over the workers: the same on all of them."""
    if world_size() == 1:
        return values.detach()
    total = values.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


@torch.no_grad()
def run_shuffled(
    network: Callable[[Tensor], Tensor],
    inputs: Shaped[Tensor, "batch *rest"],
    *,
    seed: int,
    step: int,
    purpose: str,
) -> Shaped[Tensor, "batch *output"]:
    """`network(inputs)` with rows exchanged between the workers on the way in and back on the way out, so
    that batch normalisation sees other company (MoCo, arXiv 1911.05722, 3.3). On one worker it changes
    nothing.

    Every worker draws the same permutation from (seed, step, purpose): no broadcast. Costs a gather of all
    inputs. `network` gives one row for each row that it takes; no gradient comes back.
    """
    if world_size() == 1:
        return network(inputs)
    batch_size = len(inputs)
    mine = slice(rank() * batch_size, (rank() + 1) * batch_size)
    order = shuffled_order(world_size() * batch_size, seed=seed, step=step, purpose=purpose)
    places = order.argsort()[mine].to(inputs.device)
    outputs = network(all_gather_no_grad(inputs)[order[mine].to(inputs.device)])
    return all_gather_no_grad(outputs)[places]


def shuffled_order(num_rows: int, *, seed: int, step: int, purpose: str) -> Int64[Tensor, " num_rows"]:
    """The row of the global batch that each place of the shuffled one takes."""
    generator = np.random.default_rng((seed, step, purpose_key(purpose)))
    return torch.from_numpy(generator.permutation(num_rows))
