"""Accuracies by hand, and the part of the training videos that epochs are chosen on."""

import numpy as np
import pytest

from rspnet_core.recognition.scores import score
from rspnet_core.recognition.validation_part import validation_part


def test_scores_by_hand():
    """Four videos of classes 0, 0, 1, 2 of 4: three right; class 3 has no video."""
    probabilities = np.array([[0.9, 0.1, 0, 0], [0.2, 0.1, 0.7, 0], [0, 0.8, 0.2, 0], [0, 0.3, 0.6, 0.1]])
    found = score(probabilities, np.array([0, 0, 1, 2]))
    assert (found.num_videos, found.top1, found.top5) == (4, 0.75, None)
    assert found.confusion.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found.class_accuracy[:3].tolist() == [0.5, 1, 1]
    assert np.isnan(found.class_accuracy[3])
    assert found.mean_class_accuracy == pytest.approx(2.5 / 3)


def test_top5_against_a_slow_reference():
    """A class is among the five where fewer than five have more probability."""
    generator = np.random.default_rng(0)
    probabilities = generator.random((50, 9))
    labels = generator.integers(9, size=50)
    expected = [sum(row > row[label]) < 5 for row, label in zip(probabilities, labels, strict=True)]
    assert score(probabilities, labels).top5 == pytest.approx(np.mean(expected))


def test_of_equal_probabilities_the_first_class_wins():
    """A network that says nothing is right for the first class alone."""
    assert score(np.full((3, 3), 1 / 3), np.array([0, 1, 2])).confusion[:, 0].tolist() == [1, 1, 1]


def test_no_videos_are_refused():
    """There is no accuracy of nothing."""
    with pytest.raises(ValueError, match="no videos to score"):
        score(np.zeros((0, 3)), np.zeros(0, dtype=int))


def labelled_sources() -> tuple[np.ndarray, list[str | None]]:
    """Ten classes of 40 videos in sources of one to six, some of which two classes share; every ninth has none."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 40)
    sources: list[str | None] = []
    while len(sources) < len(labels):
        sources += [f"source_{len(sources)}"] * int(generator.integers(1, 7))
    sources = sources[: len(labels)]
    sources[::9] = [None] * len(sources[::9])
    return labels, sources


@pytest.mark.parametrize("seed", range(5))
def test_a_source_is_on_one_side_alone(seed: int):
    """Videos cut from one source would tell the choice what it may not know."""
    labels, sources = labelled_sources()
    chosen = validation_part(labels, sources, fraction=0.2, seed=seed)
    sides = [
        {source for source, side in zip(sources, chosen, strict=True) if side == wanted} for wanted in (True, False)
    ]
    assert sides[0] & sides[1] <= {None}
    assert len(sides[0]) > 10


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_each_class_gives_about_its_fraction_and_keeps_half(fraction: float):
    """A source that is begun is taken whole: at most five more than asked."""
    labels, sources = labelled_sources()
    chosen = validation_part(labels, sources, fraction=fraction, seed=0)
    counts = np.bincount(labels[chosen], minlength=10)
    wanted = np.ceil(40 * fraction)
    assert counts.max() <= min(20, wanted + 5)
    assert counts.min() >= min(wanted, 20 - 5)


def test_the_seed_decides():
    """Equal seeds give equal parts, others others."""
    labels, sources = labelled_sources()
    first, again, other = (validation_part(labels, sources, fraction=0.2, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_sources_each_video_is_its_own():
    """A tenth of each class, exactly."""
    labels = np.repeat([0, 1], 20)
    chosen = validation_part(labels, [None] * 40, fraction=0.1, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [2, 2]


def test_one_source_a_class_cannot_be_shared_out():
    """Nothing can be put aside without taking all of a class."""
    with pytest.raises(ValueError, match=r"no videos of the 4 to train on can be spared .*\(2 sources\)"):
        validation_part(np.array([0, 0, 1, 1]), ["a", "a", "b", "b"], fraction=0.5, seed=0)
