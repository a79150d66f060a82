import pytest
import torch
from torch import Tensor, nn

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.schedules import ScheduleConfig
from rspnet_core.train_step import NonFiniteLossError, StepReport, train_step

CONFIG = OptimizerConfig(
    learning_rate=0.1,
    base_batch_size=2,
    momentum=0.0,
    weight_decay=0.0,
    schedule=ScheduleConfig(warmup_fraction=0.5),
)
BATCH = PretextBatch(
    clips=torch.ones(4, 1, 3, 1, 1, 1),
    playback_speeds=torch.ones(4, 1),
    labels=torch.zeros(4, 1).long(),
    video_index=torch.arange(4),
)


class Slope(PretextTask):
    """loss = weight x factor, with a frozen bystander."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(5.0))
        self.bystander = nn.Parameter(torch.tensor(1.0), requires_grad=False)
        self.factor, self.weight_after_step = factor, float("nan")

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        loss: Tensor = self.weight * self.factor
        return PretextOutput(loss=loss, metrics={"factor": torch.tensor(self.factor)})

    def after_step(self) -> None:
        self.weight_after_step = self.weight.item()


def step(task: Slope, at: int, num_steps: int = 10) -> StepReport:
    optimizer = build_optimizer(task, CONFIG, global_batch_size=4)
    context = StepContext(step=at, num_steps=num_steps)
    return train_step(
        task=task, optimizer=optimizer, config=CONFIG, global_batch_size=4, micro_batches=[BATCH], context=context
    )


def test_a_step_takes_the_schedules_rate_and_then_calls_after_step():
    """Peak 0.2 (0.1 for 2 videos, 4 here), second of five warm-up steps: 0.08, times a slope of 3."""
    task = Slope(3.0)
    report = step(task, at=1)
    assert report.learning_rate == pytest.approx(0.08)
    assert task.weight.item() == task.weight_after_step == pytest.approx(5 - 3 * 0.08)
    assert report.loss == 15.0
    assert report.metrics == {"factor": 3.0}


def test_gradients_do_not_add_up_over_steps():
    """Each step starts from no gradient."""
    task = Slope()
    step(task, at=0)
    step(task, at=1)
    assert task.weight.grad == 1.0


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_non_finite_loss_names_the_step_and_changes_no_parameter(factor: float):
    """The error carries step and loss; neither the optimizer nor after_step has run."""
    task = Slope(factor)
    with pytest.raises(NonFiniteLossError, match="at step 7") as raised:
        step(task, at=7)
    assert raised.value.step == 7
    assert task.weight.item() == 5.0
    assert task.weight_after_step != task.weight_after_step


def test_the_optimizer_holds_what_takes_a_gradient():
    """Frozen parameters, such as a momentum copy's, are not decayed."""
    task = Slope()
    groups = build_optimizer(task, CONFIG, global_batch_size=2).param_groups
    assert [id(parameter) for group in groups for parameter in group["params"]] == [id(task.weight)]


class Drawing(Slope):
    """The loss is scaled by what torch's global generator gives."""

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:
        return PretextOutput(loss=super().forward(batch, context).loss * torch.rand(()))


def drawn_loss(*, seed: int, at: int) -> float:
    optimizer = build_optimizer(task := Drawing(), CONFIG, global_batch_size=4)
    context = StepContext(step=at, num_steps=10, seed=seed)
    return train_step(
        task=task, optimizer=optimizer, config=CONFIG, global_batch_size=4, micro_batches=[BATCH], context=context
    ).loss


def test_what_a_network_draws_depends_on_seed_step_and_rank_alone(monkeypatch: pytest.MonkeyPatch):
    """Dropout of a restored run draws what it drew before, whatever else drew in between; workers draw apart."""
    drawn = {}
    for seed, at in ((0, 0), (0, 1), (1, 0), (0, 0)):
        torch.rand(3)
        loss = drawn_loss(seed=seed, at=at)
        assert drawn.setdefault((seed, at), loss) == loss
    monkeypatch.setattr("rspnet_core.train_step.rank", lambda: 1)
    assert len({*drawn.values(), drawn_loss(seed=0, at=0)}) == 4
