"""Optimizers against the formulas, one parameter after the other, and batches in parts against the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rspnet_core.lars import LARS
from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.schedules import ScheduleConfig, learning_rate
from rspnet_core.train_step import train_step

CONSTANT = ScheduleConfig(kind="constant")


class Regression(PretextTask):
    """Squared distance of a line to the videos' numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(3, 1)
        nn.init.constant_(self.line.weight, 0.5)
        nn.init.constant_(self.line.bias, 0.25)
        self.num_after_step = 0

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        inputs = batch.clips.mean(dim=(1, 3, 4, 5))
        errors = (self.line(inputs)[:, 0] - batch.video_index) ** 2
        loss: Tensor = errors.mean()
        return PretextOutput(loss=loss, metrics={"largest": errors.max().detach()})

    def after_step(self) -> None:
        self.num_after_step += 1


def make_batch(num_videos: int = 4) -> PretextBatch:
    generator = torch.Generator().manual_seed(0)
    return PretextBatch(
        clips=torch.randn(num_videos, 1, 3, 1, 1, 1, generator=generator),
        playback_speeds=torch.ones(num_videos, 1),
        labels=torch.zeros(num_videos, 1).long(),
        video_index=torch.arange(num_videos),
    )


def trained(config: OptimizerConfig, num_steps: int = 3, num_micro_batches: int = 1) -> tuple[Regression, list]:
    task = Regression()
    optimizer = build_optimizer(task, config, global_batch_size=4)
    reports = [
        train_step(
            task=task,
            optimizer=optimizer,
            config=config,
            global_batch_size=4,
            micro_batches=make_batch().split(num_micro_batches),
            context=StepContext(step=step, num_steps=num_steps),
        )
        for step in range(num_steps)
    ]
    return task, reports


def gradients(weight: np.ndarray, bias: float) -> tuple[np.ndarray, float]:
    """Of the mean squared error, by hand."""
    inputs = make_batch().clips.mean(dim=(1, 3, 4, 5)).numpy().astype(np.float64)
    errors = inputs @ weight + bias - np.arange(4)
    return 2 * (errors[:, None] * inputs).mean(axis=0), float(2 * errors.mean())


def slow_lars(num_steps: int, *, rate: float, momentum: float, decay: float, trust: float) -> tuple[np.ndarray, float]:
    """Algorithm 1 on the kernel, plain momentum without decay on the bias."""
    weight, bias, velocity, bias_velocity = np.full(3, 0.5), 0.25, np.zeros(3), 0.0
    for _ in range(num_steps):
        gradient, bias_gradient = gradients(weight, bias)
        norm = np.linalg.norm(weight)
        local = trust * norm / (np.linalg.norm(gradient) + decay * norm)
        velocity = momentum * velocity + local * (gradient + decay * weight)
        bias_velocity = momentum * bias_velocity + bias_gradient
        weight, bias = weight - rate * velocity, bias - rate * bias_velocity
    return weight, bias


def test_lars_equals_its_algorithm():
    """Three steps; the bias is neither decayed nor rescaled."""
    config = OptimizerConfig(
        name="lars",
        learning_rate=0.3,
        base_batch_size=None,
        weight_decay=0.1,
        decay_norms_and_biases=False,
        trust_coefficient=0.02,
        schedule=CONSTANT,
    )
    task, _ = trained(config)
    weight, bias = slow_lars(3, rate=0.3, momentum=0.9, decay=0.1, trust=0.02)
    np.testing.assert_allclose(task.line.weight[0].detach(), weight, rtol=1e-5)
    np.testing.assert_allclose(task.line.bias[0].detach(), bias, rtol=1e-5)


def test_lars_moves_a_layer_of_zeros():
    """Without weights there is nothing to compare the gradient with: the step is plain SGD's."""
    parameter = nn.Parameter(torch.zeros(2, 2))
    optimizer = LARS([parameter], lr=0.5)
    parameter.sum().backward()
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((2, 2), -0.5))


def test_lars_resumes_from_its_state():
    """The velocity is in the state: two steps, saved and restored, and a third equal three."""
    config = OptimizerConfig(name="lars", base_batch_size=None, schedule=CONSTANT)
    whole, _ = trained(config, num_steps=3)
    first = Regression()
    optimizer = build_optimizer(first, config, 4)
    for step in range(3):
        if step == 2:
            state, restored = optimizer.state_dict(), Regression()
            restored.load_state_dict(first.state_dict())
            optimizer, first = build_optimizer(restored, config, 4), restored
            optimizer.load_state_dict(state)
        context = StepContext(step=step, num_steps=3)
        train_step(
            task=first,
            optimizer=optimizer,
            config=config,
            global_batch_size=4,
            micro_batches=[make_batch()],
            context=context,
        )
    torch.testing.assert_close(first.line.weight, whole.line.weight, rtol=0, atol=0)


def test_adamw_takes_its_own_settings():
    """Betas and decay arrive, and norms and biases are a group without decay."""
    config = OptimizerConfig(name="adamw", betas=(0.8, 0.95), weight_decay=0.05, decay_norms_and_biases=False)
    optimizer = build_optimizer(Regression(), config, 64)
    assert isinstance(optimizer, torch.optim.AdamW)
    kernels, rest = optimizer.param_groups
    assert (kernels["betas"], kernels["weight_decay"], rest["weight_decay"]) == ((0.8, 0.95), 0.05, 0.0)
    assert [tuple(p.shape) for p in kernels["params"] + rest["params"]] == [(1, 3), (1,)]


def test_sgd_decays_everything_where_asked():
    """The published RSPNet code decays norms and biases too: one group."""
    [group] = build_optimizer(Regression(), OptimizerConfig(weight_decay=0.2), 64).param_groups
    assert (len(group["params"]), group["weight_decay"]) == (2, 0.2)


def test_gradients_are_clipped_together():
    """One plain step of rate 1 moves all parameters together by no more than the norm that is allowed."""
    config = OptimizerConfig(
        learning_rate=1.0,
        base_batch_size=None,
        momentum=0.0,
        weight_decay=0.0,
        max_gradient_norm=0.3,
        schedule=CONSTANT,
    )
    task, _ = trained(config, num_steps=1)
    moved = torch.cat([task.line.weight[0] - 0.5, task.line.bias - 0.25])
    assert moved.norm().item() == pytest.approx(0.3, rel=1e-4)
    weight_gradient, bias_gradient = gradients(np.full(3, 0.5), 0.25)
    direction = -np.append(weight_gradient, bias_gradient)
    np.testing.assert_allclose(moved.detach() / 0.3, direction / np.linalg.norm(direction), rtol=1e-4)


@pytest.mark.parametrize("num_micro_batches", [2, 4])
def test_micro_batches_give_the_whole_batchs_step(num_micro_batches: int):
    """Losses, metrics' means and weights are those of one batch; `after_step` comes once a step."""
    config = OptimizerConfig(learning_rate=0.05, base_batch_size=None)
    (whole, one), (parts, several) = trained(config), trained(config, num_micro_batches=num_micro_batches)
    torch.testing.assert_close(parts.line.weight, whole.line.weight, rtol=1e-5, atol=1e-6)
    assert [report.loss for report in several] == pytest.approx([report.loss for report in one], rel=1e-5)
    assert parts.num_after_step == 3


def test_a_batch_that_does_not_divide_is_refused():
    """Unequal parts would weigh videos differently."""
    with pytest.raises(ValueError, match="batch of 4 does not divide into 3"):
        make_batch().split(3)


def test_steps_by_hand():
    """A tenth from half of ten steps on, a hundredth from 80 % on, after two steps of warm-up."""
    schedule = ScheduleConfig(kind="steps", warmup_fraction=0.2, milestone_fractions=(0.5, 0.8))
    rates = [learning_rate(schedule, peak=1.0, step=step, num_steps=10) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01])


def test_a_constant_rate_stays():
    """No decay, whatever `final_fraction` says."""
    assert {learning_rate(CONSTANT, peak=2.0, step=step, num_steps=5) for step in range(5)} == {2.0}


def test_a_rate_without_base_batch_size_is_not_scaled():
    """Methods that give one number for one batch size keep it."""
    assert OptimizerConfig(learning_rate=0.32, base_batch_size=None).peak_learning_rate(4096) == 0.32


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: OptimizerConfig(betas=(0.9, 1.0)), "betas"),
        (lambda: OptimizerConfig(max_gradient_norm=0.0), "max_gradient_norm"),
        (lambda: replace(OptimizerConfig(name="adamw"), nesterov=True), "nesterov"),
        (lambda: ScheduleConfig(milestone_fractions=(0.8, 0.5)), "milestone_fractions"),
        (lambda: ScheduleConfig(step_factor=0.0), "step_factor"),
    ],
)
def test_a_wrong_value_is_refused_by_name(build, field: str):
    """The error names the field."""
    with pytest.raises(ValueError, match=field):
        build()
