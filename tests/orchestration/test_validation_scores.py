"""What a checkpoint is scored by, on constructed features."""

import math

import pytest
import torch
from rspnet_platform.validation.validation_scores import spread_metrics, top1
from rspnet_platform.validation.validation_videos import ValidationVideo

from rspnet_core.evaluation.nearest_neighbours import neighbour_classes
from rspnet_core.pretext.feature_spread import effective_rank


def video(index: int, label: str, source: str | None = None) -> ValidationVideo:
    return ValidationVideo(
        video_index=index, video_id=f"{index}.mp4", label=label, source=source, location=("shard", 0, index)
    )


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (torch.eye(4), 4.0),
        (torch.outer(torch.arange(1.0, 6.0), torch.tensor([3.0, 4.0, 0.0])), 1.0),
        (torch.diag(torch.tensor([3.0, 1.0])), 4 / 3**0.75),  # shares 3/4 and 1/4
        (torch.zeros(3, 2), 1.0),
    ],
)
def test_effective_rank_by_hand(features, expected):
    """The exponential of the entropy of the singular values' shares; its scale plays no part."""
    assert effective_rank(features).item() == pytest.approx(expected, rel=1e-5)
    assert effective_rank(1000 * features).item() == pytest.approx(expected, rel=1e-5)


def test_random_directions_have_almost_full_rank_and_spread():
    """And equal ones none of either."""
    healthy = spread_metrics(torch.randn(200, 16, generator=torch.Generator().manual_seed(0)))
    assert healthy["feature_std"] == pytest.approx(1.0, abs=0.02)
    assert 15 < healthy["effective_rank"] <= 16
    equal = spread_metrics(torch.ones(200, 16))
    assert equal == {"feature_std": pytest.approx(0.0, abs=1e-5), "effective_rank": pytest.approx(1.0, abs=1e-3)}


def test_features_that_are_not_finite_have_no_score():
    """Rather an error than a number."""
    with pytest.raises(ValueError, match="features are not finite"):
        spread_metrics(torch.tensor([[1.0, math.nan], [0.0, 1.0]]))


def test_clips_of_ones_own_source_find_nobody():
    """Pairs cut from one source lie together; their class mates do not: leaving the source out changes 1 into 0."""
    features = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0], [1.0, 0.3], [0.3, 1.0]])
    labels = ["run", "run", "run", "run", "jump", "jump"]
    sources = ["a", "a", "b", "b", None, None]
    apart = [video(index, label, None) for index, label in enumerate(labels)]
    cut = [video(index, label, source) for index, (label, source) in enumerate(zip(labels, sources, strict=True))]
    assert top1(features[:4], apart[:4], num_neighbours=1) == 1.0
    assert top1(features, apart, num_neighbours=1) == pytest.approx(4 / 6)
    assert top1(features, cut, num_neighbours=1) == 0.0


def test_votes_are_those_of_nearest_neighbour_classification():
    """The evaluation's own function, where no source is known; any video may vote for any other."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(40, 8, generator=generator, dtype=torch.float64)
    labels = torch.arange(40) % 4
    videos = [video(index, f"class {index % 4}") for index in range(40)]
    classes = neighbour_classes(
        features, labels, features, num_neighbours=5, temperature=0.07, sources=torch.arange(40)
    )
    assert top1(features, videos, num_neighbours=5) == pytest.approx((classes == labels).double().mean().item())


def test_a_video_without_anybody_else_is_not_asked():
    """Two of one source, and a third whose class nobody shares: neither kind may turn into a hit or an error."""
    videos = [video(0, "run", "a"), video(1, "run", "a"), video(2, "jump", "b")]
    assert top1(torch.eye(3), videos, num_neighbours=5) == 0.0
    with pytest.raises(ValueError, match="each of the 2 videos is of one source"):
        top1(torch.eye(2), videos[:2], num_neighbours=5)
