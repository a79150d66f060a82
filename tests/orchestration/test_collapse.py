"""Features that collapse: what is warned of, and what stops a run."""

import pickle

import pytest
import torch
from rspnet_platform.train.watches import CollapsedError, DivergedError, RunStoppedError, diverged
from rspnet_platform.validation.collapse import NUM_LOOKS, CollapseWatch, collapse_seen
from rspnet_platform.validation.validation_scores import spread_metrics

from rspnet_core.train_step import NonFiniteLossError


def drawn(*, spread: float) -> torch.Tensor:
    """64 features that lie around one direction, as those of a network that ends in a rectifier do."""
    generator = torch.Generator().manual_seed(0)
    return 1 + spread * torch.randn(64, 32, generator=generator)


def seen(features: torch.Tensor, random: torch.Tensor) -> str | None:
    trained = {f"validation/{name}": value for name, value in spread_metrics(features).items()}
    return collapse_seen(
        trained | {f"validation/random_{name}": value for name, value in spread_metrics(random).items()}
    )


def test_equal_features_are_warned_of_with_both_numbers():
    """Also where the random encoder's raw features lie close together without having collapsed."""
    for random in (drawn(spread=0.5), drawn(spread=0.01)):
        warning = seen(drawn(spread=1e-5), random)
        assert warning is not None
        assert "effective rank is 1.0" in warning
        assert seen(random, random) is None


def test_a_rank_that_is_merely_low_is_none():
    """A healthy run falls to a fifth of the random encoder's on its way."""
    few_directions = drawn(spread=0.0) + torch.randn(64, 3) @ torch.randn(3, 32)
    assert seen(few_directions, torch.randn(64, 32)) is None


def test_a_run_is_stopped_after_several_looks_in_a_row():
    """One look that is better begins anew; the message names step, value and what would be accepted."""
    watch = CollapseWatch()
    looks = [watch.look(step, {"train/feature_std": 1e-5}) for step in range(NUM_LOOKS - 1)]
    looks.append(watch.look(10, {"train/feature_std": 0.3}))
    looks += [watch.look(10 + step, {"train/feature_std": 1e-5}) for step in range(1, NUM_LOOKS)]
    assert all(look.stop is None for look in looks)
    stop = watch.look(30, {"train/feature_std": 1e-5}).stop
    assert isinstance(stop, CollapsedError)
    assert "at step 30" in str(stop)
    assert "train/feature_std is 1e-05" in str(stop)
    assert "accepted is 0.001 or more" in str(stop)


def test_a_task_without_that_metric_is_left_alone():
    """Nothing is known of its features."""
    watch = CollapseWatch()
    assert all(watch.look(step, {"train/loss": 1.0}).stop is None for step in range(3 * NUM_LOOKS))


@pytest.mark.parametrize(
    ("error", "reason", "saves_state"),
    [
        (RunStoppedError("enough"), "stopped", True),
        (CollapsedError("flat"), "collapsed", False),
        (diverged(NonFiniteLossError(7, float("nan"))), "diverged", False),
    ],
)
def test_programs_read_why_a_run_stopped(error, reason, saves_state):
    """Also after the way from a worker to the driver; only a good state is saved."""
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), str(there), there.reason, there.saves_state) == (type(error), str(error), reason, saves_state)


def test_a_loss_that_is_not_finite_names_its_step():
    """And what would be accepted."""
    assert isinstance(diverged(NonFiniteLossError(7, float("inf"))), DivergedError)
    with pytest.raises(RunStoppedError, match=r"the loss is inf at step 7;.*Accepted is another --run.name"):
        raise diverged(NonFiniteLossError(7, float("inf")))
