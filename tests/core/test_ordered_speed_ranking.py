from itertools import permutations
from math import log2

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.losses.ordered_speed_ranking import ordered_speed_ranking
from rspnet_core.losses.speed_ranking import speed_ranking


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def slow_ranking(anchor: Tensor, others: Tensor, speed: float, speeds: list[float], margin: float) -> tuple:
    """One anchor's loss and accuracy with loops: every two others of which the first is nearer in speed."""
    cosines = [sum(a * b for a, b in zip(anchor.tolist(), other.tolist(), strict=True)) for other in others]
    distances = [abs(log2(speed) - log2(other)) for other in speeds]
    hinges, right = [], []
    for near, far in permutations(range(len(speeds)), 2):
        if distances[far] - distances[near] > 1e-6:
            lead = cosines[near] - cosines[far]
            hinges.append(max(0.0, margin * (distances[far] - distances[near]) - lead))
            right.append(lead > 0)
    return sum(hinges) / len(hinges), sum(right) / len(right)


def test_the_loss_equals_the_equation():
    """Anchors at each speed of a list of four, among them speeds whose logarithms are not whole."""
    speeds = [1.0, 2.0, 3.0, 8.0]
    anchor, others = unit(8, 6), unit(8, 4, 6)
    anchor_speed = torch.tensor(speeds * 2)
    result = ordered_speed_ranking(anchor, others, anchor_speed, torch.tensor([speeds] * 8), 0.3)
    expected = [slow_ranking(anchor[i], others[i], speeds[i % 4], speeds, 0.3) for i in range(8)]
    torch.testing.assert_close(result.loss, torch.tensor([loss for loss, _ in expected]), rtol=1e-4, atol=1e-6)
    assert result.accuracy.item() == pytest.approx(sum(accuracy for _, accuracy in expected) / 8)


def test_two_speeds_are_speed_ranking():
    """For speeds 1 and 2 the losses, their gradients and the accuracy are those of `speed_ranking`, margin and all."""
    same, other = unit(12, 5), unit(12, 5)
    pair, ordered = (unit(12, 5).requires_grad_() for _ in range(2))
    ordered.data.copy_(pair.data)
    expected = speed_ranking(pair, same, other, 0.14)
    speed, others = torch.tensor([1.0, 2.0] * 6), torch.stack((same, other), dim=1)
    others[1::2] = others[1::2].flip(1)
    result = ordered_speed_ranking(ordered, others, speed, torch.tensor([[1.0, 2.0]] * 12), 0.14)
    torch.testing.assert_close(result.loss, expected.loss, rtol=1e-6, atol=1e-7)
    assert result.accuracy == pytest.approx(expected.accuracy.item())
    expected.loss.sum().backward()
    result.loss.sum().backward()
    torch.testing.assert_close(ordered.grad, pair.grad)


def test_three_speeds_by_hand():
    """Anchor at 1, others at 1, 2, 4 with cosines 1, 0, 0.6 and margin 0.5: pairs (1, 2), (1, 4) and (2, 4) cost
    max(0, 0.5 - 1), max(0, 1 - 0.4) and max(0, 0.5 + 0.6); two of three are in order."""
    others = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]])
    result = ordered_speed_ranking(
        torch.tensor([[1.0, 0.0]]), others, torch.tensor([1.0]), torch.tensor([[1.0, 2.0, 4.0]]), 0.5
    )
    assert result.loss.item() == pytest.approx((0 + 0.6 + 1.1) / 3)
    assert result.accuracy.item() == pytest.approx(2 / 3)


def test_equal_distances_are_no_pair():
    """From speed 2, 1 and 4 are equally far, as are 1 and 9 from 3: an anchor with no other pair costs nothing."""
    anchor, others = unit(2, 4).requires_grad_(), unit(2, 2, 4)
    result = ordered_speed_ranking(
        anchor, others, torch.tensor([2.0, 3.0]), torch.tensor([[1.0, 4.0], [1.0, 9.0]]), 0.5
    )
    result.loss.sum().backward()
    assert result.loss.tolist() == [0, 0]
    assert anchor.grad is not None
    assert anchor.grad.abs().max() == 0


def test_the_order_of_clips_and_a_common_factor_of_speeds_do_not_matter():
    """Ratios of speeds alone count."""
    anchor, others, speeds = unit(6, 5), unit(6, 3, 5), torch.tensor([[1.0, 2.0, 4.0]] * 6)
    anchor_speed = torch.tensor([1.0, 2.0, 4.0] * 2)
    expected = ordered_speed_ranking(anchor, others, anchor_speed, speeds, 0.2)
    places = torch.randperm(3)
    for result in (
        ordered_speed_ranking(anchor, others[:, places], anchor_speed, speeds[:, places], 0.2),
        ordered_speed_ranking(anchor, others, anchor_speed * 3, speeds * 3, 0.2),
    ):
        torch.testing.assert_close(result.loss, expected.loss)
        assert result.accuracy == pytest.approx(expected.accuracy.item())


def test_collapsed_features_count_as_misses():
    """All cosines equal: the loss is the mean margin, the accuracy 0."""
    same = unit(1, 4)
    result = ordered_speed_ranking(
        same, same.expand(1, 3, 4), torch.tensor([1.0]), torch.tensor([[1.0, 2.0, 4.0]]), 0.3
    )
    assert result.loss.item() == pytest.approx(0.3 * (1 + 2 + 1) / 3)
    assert result.accuracy == 0


def test_float32_under_autocast():
    """bfloat16 leaves no trace."""
    anchor, others, speeds = unit(4, 64), unit(4, 3, 64), torch.tensor([[1.0, 2.0, 4.0]] * 4)
    expected = ordered_speed_ranking(anchor, others, speeds[:, 0], speeds, 0.2).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = ordered_speed_ranking(anchor, others, speeds[:, 0], speeds, 0.2).loss
    torch.testing.assert_close(result, expected, rtol=0, atol=0)
