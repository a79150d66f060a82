"""Votes of the nearest, against loops over all videos."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.evaluation import cosine_search
from rspnet_core.evaluation.cosine_search import nearest
from rspnet_core.evaluation.nearest_neighbours import neighbour_classes
from rspnet_core.evaluation.probe_protocols import NEAREST_NEIGHBOURS


def slow_class(gallery: Tensor, labels: Tensor, query: Tensor, k: int, temperature: float) -> int:
    """All cosines one by one, sorted, the votes added up in a dict."""
    cosines = [F.cosine_similarity(query, other, dim=0).item() for other in gallery]
    votes: dict[int, float] = {}
    for place in sorted(range(len(gallery)), key=lambda place: (-cosines[place], place))[:k]:
        votes[int(labels[place])] = votes.get(int(labels[place]), 0.0) + math.exp(cosines[place] / temperature)
    return min(votes, key=lambda label: (-votes[label], label))


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (7, 0.07), (40, 0.5)])
def test_votes_equal_the_slow_reference(k, temperature):
    """For few and for all neighbours, sharp and soft votes."""
    gallery, query, labels = torch.randn(40, 6), torch.randn(25, 6), torch.randint(0, 4, (40,))
    found = neighbour_classes(gallery, labels, query, num_neighbours=k, temperature=temperature)
    assert found.tolist() == [slow_class(gallery, labels, each, k, temperature) for each in query]


def test_leave_one_source_out_equals_the_slow_reference(monkeypatch: pytest.MonkeyPatch):
    """Each video among all those of other sources, over the borders of what is computed at once."""
    monkeypatch.setattr(cosine_search, "MAX_COSINES_AT_ONCE", 7 * 24)
    features, labels = torch.randn(24, 6), torch.randint(0, 3, (24,))
    sources = torch.arange(24) // 3
    found = neighbour_classes(features, labels, features, num_neighbours=5, temperature=0.1, sources=sources)
    for place in range(24):
        others = sources != sources[place]
        assert found[place] == slow_class(features[others], labels[others], features[place], 5, 0.1)


def test_the_temperature_decides_between_one_near_and_two_far():
    """Cosine 1 of class 1 against twice 0.9 of class 0: exp(0.1 / T) > 2 only for T below 0.144."""
    gallery = torch.tensor([[0.9, math.sqrt(1 - 0.81)], [0.9, -math.sqrt(1 - 0.81)], [1.0, 0.0]])
    labels, query = torch.tensor([0, 0, 1]), torch.tensor([[3.0, 0.0]])
    for temperature, expected in ((0.14, 1), (0.15, 0)):
        assert neighbour_classes(gallery, labels, query, num_neighbours=3, temperature=temperature).item() == expected


def test_a_tiny_temperature_does_not_overflow():
    """exp(1 / 0.001) is infinite; the nearest one's class still wins."""
    gallery, labels = torch.tensor([[1.0, 0.1], [1.0, 0.0]]), torch.tensor([0, 1])
    found = neighbour_classes(gallery, labels, torch.tensor([[1.0, 0.0]]), num_neighbours=2, temperature=0.001)
    assert found.item() == 1


def test_equal_votes_go_to_the_smaller_class():
    """Two classes, one equal video each: which of them comes first in the gallery makes no difference."""
    query = torch.tensor([[1.0, 0.0]])
    for labels in (torch.tensor([2, 1]), torch.tensor([1, 2])):
        found = neighbour_classes(query.expand(2, 2), labels, query, num_neighbours=2, temperature=0.07)
        assert found.item() == 1


def test_among_equal_cosines_the_first_in_the_gallery_is_nearest():
    """Also where the tie lies across the border of the k nearest, and for rows with and without ties side by side."""
    gallery = F.normalize(torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 0.0]]), dim=1)
    cosines, indices = nearest(F.normalize(torch.tensor([[1.0, 1.0], [0.1, 1.0]]), dim=1), gallery, 2)
    assert indices.tolist() == [[1, 2], [0, 1]]
    torch.testing.assert_close(cosines[0], torch.ones(2))


def test_a_tie_that_begins_at_the_border_is_one():
    """The nearest is one alone, the next is the first of sixteen: the table of the two nearest shows no tie."""
    gallery = F.normalize(torch.tensor([[0.0, 1.0]] + [[1.0, 1.0]] * 16 + [[1.0, 0.0]]), dim=1)
    _, indices = nearest(torch.tensor([[1.0, 0.0]]), gallery, 2)
    assert indices.tolist() == [[17, 1]]


def test_collapsed_features_find_the_first_videos():
    """All cosines are equal: the order is the gallery's, not whatever a partial sort leaves."""
    features = torch.ones(50, 4) / 2
    _, indices = nearest(features, features, 10)
    assert indices.tolist() == [list(range(10))] * 50
    _, indices = nearest(features, features, 10, sources=torch.arange(50))
    assert indices[3].tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize(
    ("k", "sources", "num_others"), [(6, None, 5), (5, [0, 1, 2, 3, 4], 4), (3, [0, 0, 1, 0, 1], 2), (-1, None, 5)]
)
def test_more_neighbours_than_there_are_are_refused(k, sources, num_others):
    """The error says how many there are for each query at least."""
    features = F.normalize(torch.randn(5, 3), dim=1)
    with pytest.raises(ValueError, match=f"num_nearest is {k}; accepted are 0 to the {num_others}"):
        nearest(features, features, k, sources=None if sources is None else torch.tensor(sources))


def test_the_protocols_numbers_are_the_papers():
    """Instance discrimination's temperature, and its 200 neighbours beside fewer; the stamp says what a vote counts."""
    assert (NEAREST_NEIGHBOURS.temperature, NEAREST_NEIGHBOURS.num_neighbours) == (0.07, (5, 20, 200))
    assert NEAREST_NEIGHBOURS.stamp.endswith("centring none, cosine, votes exp(cosine / 0.07)")
