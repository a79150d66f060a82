"""What holds for every pretext task, in each of its variants."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.task import PretextTask
from rspnet_core.pretext.task_config import TaskConfig
from tests.core.tiny_tasks import ALL, SGD, build, context, permuted, planned_batch, steps

SLOW = replace(SGD, learning_rate=0.01)


def without_dropout(task: PretextTask) -> PretextTask:
    for module in task.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return task


def with_keys_that_stand_still(config: TaskConfig) -> TaskConfig:
    """The queue is full after one step, of keys that do not change from step to step."""
    num_keys_per_video = getattr(build(config), "num_enqueued_per_video", 1)
    return replace(config, queue_size=8 * num_keys_per_video, key_momentum=1.0)


@pytest.mark.parametrize("name", ALL)
def test_gradient_reaches_every_trained_parameter_and_no_key_network(name: str):
    """What DistributedDataParallel with find_unused_parameters=False asks for."""
    task = build(ALL[name])
    task(planned_batch(ALL[name]), context()).loss.backward()
    frozen = {key for key, parameter in task.named_parameters() if not parameter.requires_grad}
    assert frozen == {key for key, _ in task.named_parameters() if key.startswith("key_")}
    without = {key for key, parameter in task.named_parameters() if parameter.grad is None}
    assert without == frozen
    # Norms take away what a bias of a convolution or hidden layer before them adds: those gradients are rounding.
    trained = [parameter for parameter in task.parameters() if parameter.grad is not None and parameter.ndim > 1]
    assert all(parameter.grad.abs().max() > 0 for parameter in trained if parameter.grad is not None)


@pytest.mark.parametrize("name", ALL)
def test_the_order_of_videos_changes_nothing(name: str):
    """Loss and metrics belong to the set of videos, with batch norm in train mode and with what a task draws."""
    task, batch = without_dropout(build(ALL[name])), planned_batch(ALL[name])
    one = task(batch, context())
    other = task(permuted(batch, torch.randperm(8)), context())
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-4, atol=1e-5)
    for metric, value in one.metrics.items():
        torch.testing.assert_close(value, other.metrics[metric], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, config in ALL.items() if hasattr(config, "head")])
def test_the_scale_of_embeddings_does_not_matter(name: str):
    """Cosines alone count: heads whose last layers are ten times as large give the same loss."""
    task, batch = build(ALL[name]).eval(), planned_batch(ALL[name])
    before = task(batch, context()).loss
    heads = [module for module in task.modules() if isinstance(module, ProjectionHead)]
    assert heads
    for head in heads:
        for parameter in head.layers[-1].parameters():
            parameter.data.mul_(10)
    torch.testing.assert_close(task(batch, context()).loss, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_the_loss_falls_on_a_batch_that_can_be_overfitted(name: str):
    """By half in twenty steps; where there is a queue, from the step on at which it is full."""
    has_queue = hasattr(ALL[name], "queue_size")
    config = with_keys_that_stand_still(ALL[name]) if has_queue else ALL[name]
    reports = steps(without_dropout(build(config)), [planned_batch(config)], [context()] * 22, SLOW)
    assert reports[-1].loss < reports[int(has_queue)].loss / 2


@pytest.mark.parametrize("name", ALL)
def test_a_restored_task_goes_on_exactly(name: str):
    """State dicts of task and optimizer hold all that the next steps depend on, beside the step's number."""
    batch, (task, restored) = planned_batch(ALL[name]), (build(ALL[name]) for _ in range(2))
    optimizer, restored_optimizer = (build_optimizer(each, SGD, 8) for each in (task, restored))
    steps(task, [batch], map(context, range(3)), optimizer=optimizer)
    restored.load_state_dict(task.state_dict())
    # A copy, as a file would be: loading alone would share the momentum buffers.
    restored_optimizer.load_state_dict(deepcopy(optimizer.state_dict()))
    resumed = steps(restored, [batch], map(context, range(3, 5)), optimizer=restored_optimizer)
    assert resumed == steps(task, [batch], map(context, range(3, 5)), optimizer=optimizer)


@pytest.mark.parametrize("name", ALL)
def test_looking_at_another_batch_leaves_no_trace(name: str):
    """A forward in eval mode without gradient changes no state and no step after it."""
    batch, (task, looking) = planned_batch(ALL[name]), (build(ALL[name]) for _ in range(2))
    optimizer, looking_optimizer = (build_optimizer(each, SGD, 8) for each in (task, looking))
    for step in range(3):  # What it left would enter a queue after the second, and show in the third.
        expected = steps(task, [batch], [context(step)], optimizer=optimizer)
        assert steps(looking, [batch], [context(step)], optimizer=looking_optimizer) == expected
        before = deepcopy(looking.state_dict())
        with torch.no_grad():
            looking.eval()(planned_batch(ALL[name], range(10, 16)), context(90))
        looking.train()
        for key, tensor in looking.state_dict().items():
            assert torch.equal(tensor, before[key]), key


@pytest.mark.parametrize("name", ALL)
def test_half_precision_gives_nearly_the_same_loss(name: str):
    """A step under bfloat16's autocast: networks round, losses are computed in float32."""
    batch, (task, half) = planned_batch(ALL[name]), (without_dropout(build(ALL[name])) for _ in range(2))
    [expected] = steps(task, [batch], [context()])
    [report] = steps(half, [batch], [context()], autocast_dtype=torch.bfloat16)
    assert report.loss == pytest.approx(expected.loss, rel=0.05)
    assert report.loss != expected.loss
    assert all(parameter.dtype == torch.float32 for parameter in half.parameters())
