import pytest

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.schedules import ScheduleConfig, learning_rate


def rates(schedule: ScheduleConfig, num_steps: int) -> list[float]:
    return [learning_rate(schedule, peak=2.0, step=step, num_steps=num_steps) for step in range(num_steps)]


def test_warm_up_is_linear_to_the_peak():
    """Four of ten steps: a quarter, a half, three quarters and all of the peak, then down."""
    values = rates(ScheduleConfig(warmup_fraction=0.4), 10)
    assert values[:5] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])
    assert values[4:] == sorted(values[4:], reverse=True)


def test_cosine_by_hand():
    """Five steps to a tenth: progress 0, 1/4, 1/2, 3/4, 1 of half a cosine between 2.0 and 0.2."""
    assert rates(ScheduleConfig(final_fraction=0.1), 5) == pytest.approx([2.0, 1.7364, 1.1, 0.4636, 0.2], abs=1e-4)


def test_a_run_of_one_step_takes_the_peak():
    """No division by the zero steps that are left."""
    assert rates(ScheduleConfig(), 1) == [2.0]


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_the_run_is_refused(step: int):
    """A resumed run with a wrong step count fails instead of training at a rate of nowhere."""
    with pytest.raises(ValueError, match="0 to 9"):
        learning_rate(ScheduleConfig(), peak=1.0, step=step, num_steps=10)


def test_peak_scales_with_the_global_batch():
    """0.1 for 64 videos is 0.4 for 256."""
    assert OptimizerConfig().peak_learning_rate(256) == pytest.approx(0.4)


@pytest.mark.parametrize(
    "field", [{"learning_rate": 0.0}, {"momentum": 1.0}, {"weight_decay": -1.0}, {"base_batch_size": 0}]
)
def test_a_wrong_optimizer_value_is_refused_by_name(field: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(field))):
        OptimizerConfig(**field)
