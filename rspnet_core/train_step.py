"""One optimizer step of a pretext task, on however many workers."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import isfinite

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from rspnet_core.distributed import mean_over_workers, rank
from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.random_streams import random_stream
from rspnet_core.schedules import learning_rate


class NonFiniteLossError(RuntimeError):
    """The loss is infinite or not a number; no parameter has been changed by the step that the message
    names."""

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(step, loss)
        self.step, self.loss = step, loss

    def __str__(self) -> str:
        return f"the loss is {self.loss} at step {self.step}; the optimizer step was not taken"


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """Means over all workers, as plain numbers. `metrics` are the task's, without the loss."""

    loss: float
    metrics: dict[str, float]
    learning_rate: float


def train_step(
    *,
    task: PretextTask,
    optimizer: Optimizer,
    config: OptimizerConfig,
    global_batch_size: int,
    micro_batches: Sequence[PretextBatch],
    context: StepContext,
    wrapped: nn.Module | None = None,
    autocast_dtype: torch.dtype | None = None,
) -> StepReport:
    """Forward and backward of each micro-batch, the schedule's rate, step, `after_step`.

    This worker's part of the global batch comes as one micro-batch, or as several of equal size where it does not fit
    on the device: their gradients are averaged, and batch norm sees one at a time. `wrapped` is what to call in place
    of the task: the same task in DistributedDataParallel or compiled. `autocast_dtype` is the forward pass's; None
    computes in float32. Waits for the device once, to read loss and metrics; they are averaged over the workers
    first, so that all of them stop at the same step.

    Seeds torch's global generator: what networks draw of themselves (dropout, stochastic depth) depends on the run's
    seed, the step and this worker's rank, so that a restored run draws it again.

    Raises NonFiniteLossError before the optimizer step; running statistics of batch norm have moved by then.
    """
    torch.manual_seed(int(random_stream(context.seed, context.step, rank(), "network").integers(2**63)))
    optimizer.zero_grad(set_to_none=True)
    model = task if wrapped is None else wrapped
    outputs = []
    for position, batch in enumerate(micro_batches):
        is_last = position == len(micro_batches) - 1
        with _gradients_stay_local(model, not is_last):
            outputs.append(_forward_backward(model, batch, context, autocast_dtype, len(micro_batches)))
    loss, metrics = _read(outputs)
    if not isfinite(loss):
        raise NonFiniteLossError(context.step, loss)
    peak = config.peak_learning_rate(global_batch_size)
    rate = learning_rate(config.schedule, peak=peak, step=context.step, num_steps=context.num_steps)
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("learning_rate_factor", 1)
    if config.max_gradient_norm is not None:
        nn.utils.clip_grad_norm_(task.parameters(), config.max_gradient_norm)
    optimizer.step()
    task.after_step()
    return StepReport(loss=loss, metrics=metrics, learning_rate=rate)


def _forward_backward(
    model: nn.Module,
    batch: PretextBatch,
    context: StepContext,
    autocast_dtype: torch.dtype | None,
    num_micro_batches: int,
) -> PretextOutput:
    with torch.autocast(batch.clips.device.type, dtype=autocast_dtype, enabled=autocast_dtype is not None):
        output: PretextOutput = model(batch, context)
    (output.loss / num_micro_batches).backward()
    return PretextOutput(loss=output.loss.detach(), metrics=output.metrics)


def _gradients_stay_local(model: nn.Module, is_wanted: bool) -> AbstractContextManager[None]:
    """Workers average their gradients once a step, with the last micro-batch."""
    return model.no_sync() if is_wanted and isinstance(model, DistributedDataParallel) else nullcontext()


def _read(outputs: Sequence[PretextOutput]) -> tuple[float, dict[str, float]]:
    """One copy from the device for all numbers: each would wait for it."""
    rows = [torch.stack([out.loss.float(), *(value.float() for value in out.metrics.values())]) for out in outputs]
    loss, *metrics = mean_over_workers(torch.stack(rows).mean(dim=0)).tolist()
    return loss, dict(zip(outputs[0].metrics, metrics, strict=True))
