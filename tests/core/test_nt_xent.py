from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.losses.nt_xent import nt_xent


def slow_direction(anchors: list[list[float]], others: list[list[float]], temperature: float) -> list[float]:
    """SimCLR's eq. 1 for each anchor, with loops and `math`: positives in `others`, negatives in both views."""

    def similarity(one: list[float], other: list[float]) -> float:
        length = (sum(x * x for x in one) * sum(x * x for x in other)) ** 0.5
        return exp(sum(x * y for x, y in zip(one, other, strict=True)) / length / temperature)

    losses = []
    for i, anchor in enumerate(anchors):
        total = sum(similarity(anchor, candidate) for candidate in others)
        total += sum(similarity(anchor, candidate) for k, candidate in enumerate(anchors) if k != i)
        losses.append(-log(similarity(anchor, others[i]) / total))
    return losses


def slow_pair(one: Tensor, other: Tensor, temperature: float) -> float:
    """The mean over both views' anchors."""
    a, b = one.tolist(), other.tolist()
    losses = slow_direction(a, b, temperature) + slow_direction(b, a, temperature)
    return sum(losses) / len(losses)


def test_the_loss_equals_the_equation():
    """The mean over 2N anchors is SimCLR's; the sum of directions, CVRL's, is exactly twice that."""
    views = torch.randn(2, 6, 5)
    mean, summed = nt_xent(views, 0.1).loss, nt_xent(views, 0.1, "sum_of_directions").loss
    assert mean.item() == pytest.approx(slow_pair(views[0], views[1], 0.1), rel=1e-5)
    assert summed.item() == 2 * mean.item()


@pytest.mark.parametrize("num_videos", [2, 3, 5])
def test_identical_views_of_orthogonal_items_by_hand(num_videos: int):
    """One candidate at cosine 1 and 2N - 2 at 0: log(1 + (2N - 2) exp(-1 / tau)) in each direction."""
    views = torch.eye(num_videos, 7).expand(2, num_videos, 7)
    by_hand = log(1 + (2 * num_videos - 2) * exp(-1 / 0.5))
    result = nt_xent(views, 0.5)
    assert result.loss.item() == pytest.approx(by_hand, rel=1e-6)
    assert nt_xent(views, 0.5, "sum_of_directions").loss.item() == pytest.approx(2 * by_hand, rel=1e-6)
    assert result.top1 == 1


def test_collapsed_features_by_hand():
    """All equal: log(2N - 1) whatever the temperature, and no tie counts as a hit."""
    result = nt_xent(torch.ones(2, 5, 3), 0.1)
    assert result.loss.item() == pytest.approx(log(9), rel=1e-6)
    assert result.top1 == 0


def test_more_views_make_consecutive_pairs_that_are_summed():
    """Four views: pairs (0, 1), (1, 2), (2, 3), each with candidates of its own two views alone."""
    views = torch.randn(4, 3, 5)
    expected = sum(slow_pair(views[i], views[i + 1], 0.2) for i in range(3))
    assert nt_xent(views, 0.2).loss.item() == pytest.approx(expected, rel=1e-5)


def test_top1_counts_both_directions():
    """Two videos: the second's later view lies with the first, and finds it; three of four anchors are right."""
    views = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[1.0, 0.1, 0.0], [0.8, 0.6, 0.0]]])
    # Cosines: b0 to a0 0.995, to b1 0.856; b1 to a1 0.6, to a0 0.8; a0 to b0 0.995; a1 to b1 0.6, to b0 0.0995.
    assert nt_xent(views, 0.1).top1 == 0.75


def test_the_order_of_videos_and_views_and_the_scale_of_features_do_not_matter():
    """Nor does a rotation of the space: cosines alone count."""
    views = torch.randn(2, 6, 4)
    expected = nt_xent(views, 0.1)
    rotation = torch.linalg.qr(torch.randn(4, 4)).Q
    scales = torch.rand(2, 6, 1) * 10 + 0.1
    for changed in (views[:, torch.randperm(6)], views.flip(0), views * scales, views @ rotation):
        result = nt_xent(changed, 0.1)
        torch.testing.assert_close(result.loss, expected.loss)
        assert result.top1 == expected.top1


def test_gradients_equal_those_of_one_softmax_over_all_rows():
    """The textbook form: a 2N x 2N matrix without its diagonal."""
    views = torch.randn(2, 5, 4, dtype=torch.float64).requires_grad_()
    rows = F.normalize(views.flatten(0, 1), dim=1)
    logits = (rows @ rows.T / 0.2).masked_fill(torch.eye(10, dtype=torch.bool), float("-inf"))
    [expected] = torch.autograd.grad(F.cross_entropy(logits, torch.arange(10).roll(5)), views)
    [gradient] = torch.autograd.grad(nt_xent(views, 0.2).loss, views)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_a_single_video_has_nothing_to_learn_from():
    """No negatives: loss and gradient are 0, not nan."""
    views = torch.randn(2, 1, 4).requires_grad_()
    result = nt_xent(views, 0.1)
    result.loss.backward()
    assert result.loss == 0
    assert views.grad is not None
    assert views.grad.abs().max() == 0


def test_float32_under_autocast_and_for_bfloat16_features():
    """Autocast changes nothing; bfloat16 features are brought to float32 before they are compared."""
    views = torch.randn(2, 16, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = nt_xent(views, 0.1).loss
    torch.testing.assert_close(inside, nt_xent(views, 0.1).loss, rtol=0, atol=0)
    rounded = views.bfloat16()
    torch.testing.assert_close(nt_xent(rounded, 0.1).loss, nt_xent(rounded.float(), 0.1).loss, rtol=0, atol=0)


def test_a_single_view_is_refused():
    """There is nothing to find."""
    with pytest.raises(ValueError, match="1 views of each video; accepted are 2 or more"):
        nt_xent(torch.randn(1, 4, 3), 0.1)
