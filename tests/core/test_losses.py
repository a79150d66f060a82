from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.losses.info_nce import info_nce
from rspnet_core.losses.speed_ranking import speed_ranking


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape, dtype=torch.float64), dim=-1).float()


def slow_info_nce(query, positive, negatives, temperature, mask) -> list[float]:
    """Eq. 1 of MoCo with loops and `math`, in float64."""
    losses = []
    for i in range(len(query)):
        near = exp(sum(a * b for a, b in zip(query[i].tolist(), positive[i].tolist(), strict=True)) / temperature)
        others = 0.0
        for n in range(len(negatives)):
            if mask is None or mask[i, n]:
                cosine = sum(a * b for a, b in zip(query[i].tolist(), negatives[n].tolist(), strict=True))
                others += exp(cosine / temperature)
        losses.append(-log(near / (near + others)))
    return losses


@pytest.mark.parametrize("masked", [False, True])
def test_info_nce_equals_the_equation(masked: bool):
    """Each query's loss is eq. 1 over the negatives that count for it."""
    query, positive, negatives = unit(5, 7), unit(5, 7), unit(11, 7)
    mask = torch.rand(5, 11) > 0.4 if masked else None
    result = info_nce(query, positive, negatives, 0.1, mask)
    expected = slow_info_nce(query, positive, negatives, 0.1, mask)
    torch.testing.assert_close(result.loss, torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_info_nce_by_hand():
    """Cosines 1 and 0 at temperature 0.5: -log(e^2 / (e^2 + 1 + 1)) = log(1 + 2 e^-2)."""
    query = torch.tensor([[1.0, 0.0]])
    negatives = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
    result = info_nce(query, query, negatives, 0.5)
    assert result.loss.item() == pytest.approx(log(1 + 2 * exp(-2)))
    assert result.top1.item() == 1


def test_a_query_without_negatives_has_no_loss():
    """With everything masked the positive is all there is: loss 0, and its gradient is finite."""
    query = unit(2, 4).requires_grad_()
    result = info_nce(query, unit(2, 4), unit(3, 4), 0.07, torch.zeros(2, 3, dtype=torch.bool))
    result.loss.sum().backward()
    assert result.loss.tolist() == [0, 0]
    assert query.grad is not None
    assert query.grad.abs().max() == 0


def test_info_nce_permutes_with_the_batch_and_ignores_the_order_of_negatives():
    """Losses belong to their rows; the set of negatives has no order."""
    query, positive, negatives, mask = unit(6, 8), unit(6, 8), unit(9, 8), torch.rand(6, 9) > 0.3
    rows, columns = torch.randperm(6), torch.randperm(9)
    result = info_nce(query, positive, negatives, 0.07, mask)
    permuted = info_nce(query[rows], positive[rows], negatives[columns], 0.07, mask[rows][:, columns])
    torch.testing.assert_close(permuted.loss, result.loss[rows])
    assert permuted.top1 == result.top1


def test_collapsed_features_count_as_misses():
    """All vectors equal: neither InfoNCE's top-1 nor the ranking's accuracy takes a tie for a success."""
    same = unit(1, 4).expand(5, 4)
    assert info_nce(same, same, same, 0.07).top1 == 0
    assert speed_ranking(same, same, same, 0.14).accuracy == 0


def test_info_nce_keeps_float32_under_autocast():
    """bfloat16 cosines over 0.07 would be off by a percent: autocast does not reach them."""
    query, positive, negatives = unit(8, 128), unit(8, 128), unit(64, 128)
    expected = info_nce(query, positive, negatives, 0.07).loss
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = info_nce(query, positive, negatives, 0.07).loss
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, expected, rtol=0, atol=0)


def test_speed_ranking_by_hand():
    """Leads of 1, 0 and -1 at margin 0.5 cost 0, 0.5 and 1.5; one of three is ranked right."""
    query = torch.tensor([[1.0, 0.0]] * 3)
    same = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    other = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    result = speed_ranking(query, same, other, 0.5)
    assert result.loss.tolist() == [0.0, 0.5, 1.5]
    assert result.accuracy.item() == pytest.approx(1 / 3)


def test_speed_ranking_equals_the_published_code():
    """Margin 2.0 on cosines over 0.07 (MarginRankingLoss) is margin 0.14 weighted by 1 / 0.07."""
    query, same, other = unit(16, 8), unit(16, 8), unit(16, 8)
    near, far = ((query * key).sum(1) / 0.07 for key in (same, other))
    published = F.margin_ranking_loss(near, far, torch.ones(16), margin=2.0)
    torch.testing.assert_close(speed_ranking(query, same, other, 0.14).loss.mean() / 0.07, published)


def test_speed_ranking_pulls_towards_the_same_speed():
    """Where the hinge is open the gradient of a query is other minus same; where it is closed, nothing."""
    query = torch.tensor([[1.0, 0.0], [1.0, 0.0]], requires_grad=True)
    same = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    other = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    speed_ranking(query, same, other, 0.14).loss.sum().backward()
    torch.testing.assert_close(query.grad, torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
