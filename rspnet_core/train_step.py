"""One optimizer step of a pretext task, on however many workers."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import SGD, Optimizer

from rspnet_core.distributed import mean_over_workers
from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
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


def build_optimizer(task: PretextTask, config: OptimizerConfig, global_batch_size: int) -> Optimizer:
    """SGD over everything in the task that takes a gradient: momentum copies do not."""
    return SGD(
        [parameter for parameter in task.parameters() if parameter.requires_grad],
        lr=config.peak_learning_rate(global_batch_size),
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def train_step(
    *,
    task: PretextTask,
    optimizer: Optimizer,
    config: OptimizerConfig,
    global_batch_size: int,
    batch: PretextBatch,
    context: StepContext,
    wrapped: nn.Module | None = None,
    autocast_dtype: torch.dtype | None = None,
) -> StepReport:
    """Forward, backward, the schedule's rate, step, `after_step`.

    `wrapped` is what to call in place of the task: the same task in DistributedDataParallel or compiled.
    `autocast_dtype` is the forward pass's; None computes in float32. Waits for the device once, to read loss
    and metrics; they are averaged over the workers first, so that all of them stop at the same step.

    Raises NonFiniteLossError before the optimizer step; running statistics of batch norm have moved by then.
    """
    optimizer.zero_grad(set_to_none=True)
    device_type = batch.clips.device.type
    with torch.autocast(device_type, dtype=autocast_dtype, enabled=autocast_dtype is not None):
        output: PretextOutput = (task if wrapped is None else wrapped)(batch, context)
    output.loss.backward()
    loss, metrics = _read(output)
    if not torch.isfinite(torch.tensor(loss)):
        raise NonFiniteLossError(context.step, loss)
    peak = config.peak_learning_rate(global_batch_size)
    rate = learning_rate(config.schedule, peak=peak, step=context.step, num_steps=context.num_steps)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    task.after_step()
    return StepReport(loss=loss, metrics=metrics, learning_rate=rate)


def _read(output: PretextOutput) -> tuple[float, dict[str, float]]:
    """One copy from the device for all numbers: each would wait for it."""
    values = torch.stack([output.loss.detach().float(), *(value.float() for value in output.metrics.values())])
    loss, *metrics = mean_over_workers(values).tolist()
    return loss, dict(zip(output.metrics, metrics, strict=True))
