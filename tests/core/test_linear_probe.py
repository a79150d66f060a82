"""The linear probe: its minimum against scikit-learn's, what it may choose on, and what must not change it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from rspnet_core.evaluation.label_subsets import TooFewSourcesError, few_labels, validation_part
from rspnet_core.evaluation.linear_probe import (
    LabelledFeatures,
    choose_strength,
    few_label_probes,
    linear_probe,
    scale,
)
from rspnet_core.evaluation.logistic_regression import fit_logistic_regression
from rspnet_core.evaluation.probe_protocols import FEW_LABELS, LINEAR_PROBES

PROTOCOL = LINEAR_PROBES["linear_probe_standardised"]


def clusters(num_videos: int, spread: float = 0.7) -> tuple[Tensor, Tensor]:
    """Three overlapping clouds of 5 numbers."""
    labels = torch.arange(num_videos) % 3
    centres = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    return centres[labels] + spread * torch.randn(num_videos, 5), labels


def videos(num_videos: int, **changes) -> LabelledFeatures:
    features, labels = clusters(num_videos)
    return dataclasses.replace(
        LabelledFeatures(features=features, labels=labels, sources=[None] * num_videos), **changes
    )


@pytest.mark.parametrize("strength", [1.0, 0.01, 1e-4])
def test_the_minimum_is_scikit_learns(strength):
    """The same weights and, but for a constant, the same biases: another solver, one convex problem."""
    features, labels = clusters(90)
    features = features.double()
    ours = fit_logistic_regression(features, labels, strength=strength)
    theirs = LogisticRegression(C=1 / (strength * 90), tol=1e-8, max_iter=10_000).fit(features.numpy(), labels.numpy())
    np.testing.assert_allclose(ours.weight.numpy().T, theirs.coef_, atol=2e-3 / math.sqrt(strength))
    difference = ours.bias.numpy() - theirs.intercept_
    np.testing.assert_allclose(difference, difference.mean(), atol=2e-3 / math.sqrt(strength))
    assert (ours.predict(features).numpy() == theirs.predict(features.numpy())).all()


def test_from_another_start_to_the_same_minimum():
    """What was fitted before saves steps and decides nothing."""
    features, labels = clusters(60)
    far = fit_logistic_regression(features.double(), labels.flip(0), strength=1e-4)
    cold = fit_logistic_regression(features.double(), labels, strength=0.01)
    warm = fit_logistic_regression(features.double(), labels, strength=0.01, start=far)
    torch.testing.assert_close(warm.weight, cold.weight, atol=1e-3, rtol=0)


def test_class_numbers_need_not_be_without_gaps():
    """Classes 3 and 7 alone: no other is ever found."""
    features, labels = torch.tensor([[1.0], [-1.0], [2.0], [-2.0]]).double(), torch.tensor([7, 3, 7, 3])
    assert fit_logistic_regression(features, labels, strength=0.1).predict(features).tolist() == [7, 3, 7, 3]


def test_scaling_by_hand():
    """Two training features (3, 4) and (0, 2), and a test feature (6, 8)."""
    train, test = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[6.0, 8.0]])
    raw, raw_test = scale(train, test, "raw")
    # mean (1.5, 3); distances (1.5, 1) and (-1.5, -1), whose mean squared length is 3.25
    expected = torch.tensor([[1.5, 1.0], [-1.5, -1.0]]).double() / math.sqrt(3.25)
    torch.testing.assert_close(raw, expected)
    torch.testing.assert_close(raw_test, torch.tensor([[4.5, 5.0]]).double() / math.sqrt(3.25))
    unit, unit_test = scale(train, test, "l2_normalised")
    # (0.6, 0.8) and (0, 1): mean (0.3, 0.9), distances (0.3, -0.1) and (-0.3, 0.1), mean squared length 0.1
    torch.testing.assert_close(unit, torch.tensor([[0.3, -0.1], [-0.3, 0.1]]).double() / math.sqrt(0.1))
    torch.testing.assert_close(unit_test, unit[:1])
    standard, _ = scale(train, test, "standardised")
    torch.testing.assert_close(standard, torch.tensor([[1.0, 1.0], [-1.0, -1.0]]).double() / math.sqrt(2))


def test_a_number_that_never_changes_is_no_division_by_zero():
    """A dead channel, and features that are all alike."""
    train = torch.tensor([[1.0, 5.0], [2.0, 5.0]])
    for scaling in ("raw", "l2_normalised", "standardised"):
        assert all(side.isfinite().all() for side in scale(train, train, scaling))
        assert scale(torch.ones(3, 2), torch.ones(2, 2), scaling)[0].eq(0).all()


@pytest.mark.parametrize(("name", "is_found"), [("linear_probe_raw", True), ("linear_probe_normalised", False)])
def test_the_length_of_each_feature_counts_where_it_is_kept(name, is_found):
    """Classes that differ in length alone: found raw, and not at length 1."""
    directions = torch.nn.functional.normalize(torch.rand(80, 4) + 0.5, dim=1)
    labels = torch.arange(80) % 2
    features = directions * (1 + 2 * labels[:, None])
    whole = LabelledFeatures(features=features, labels=labels, sources=[None] * 80)
    train, test = whole.at(np.arange(60)), whole.at(np.arange(60, 80))
    result = linear_probe(train, test, LINEAR_PROBES[name], seed=0)
    assert (result.accuracy == 1.0) == is_found
    assert is_found or result.accuracy < 0.8


@pytest.mark.parametrize("name", LINEAR_PROBES)
def test_features_times_a_thousand_give_the_same_probe(name):
    """A penalty is relative to the features' spread."""
    train, test = videos(90), videos(60)
    long_train, long_test = (dataclasses.replace(side, features=1000 * side.features) for side in (train, test))
    result = linear_probe(train, test, LINEAR_PROBES[name], seed=0)
    again = linear_probe(long_train, long_test, LINEAR_PROBES[name], seed=0)
    assert (result.accuracy, result.strength) == (again.accuracy, again.strength)
    assert result.accuracy > 0.6


def test_test_labels_choose_nothing():
    """With other test labels the penalty and the validation's accuracy stay: only the score changes."""
    train, test = videos(90), videos(60)
    result = linear_probe(train, test, PROTOCOL, seed=0)
    other = linear_probe(train, dataclasses.replace(test, labels=(test.labels + 1) % 3), PROTOCOL, seed=0)
    assert (result.strength, result.validation_accuracy) == (other.strength, other.validation_accuracy)
    assert result.accuracy != other.accuracy


def test_the_penalty_with_the_best_validation_is_chosen():
    """Equal to fitting and scoring each strength by itself; among equals the strongest."""
    train = videos(90)
    strength, accuracy = choose_strength(train, PROTOCOL, seed=3, draw=0)
    alone = {
        each: choose_strength(train, dataclasses.replace(PROTOCOL, strengths=(each,)), seed=3, draw=0)[1]
        for each in PROTOCOL.strengths
    }
    assert accuracy == max(alone.values())
    assert strength == max(each for each, share in alone.items() if share == accuracy)


def test_the_chosen_penalty_is_fitted_to_all_training_videos():
    """The part that it was chosen on included: the score is that of a classifier that has seen every one."""
    train, test = videos(90), videos(60)
    result = linear_probe(train, test, PROTOCOL, seed=0)
    features, test_features = scale(train.features, test.features, PROTOCOL.scaling)
    predicted = fit_logistic_regression(features, train.labels, strength=result.strength).predict(test_features)
    assert result.accuracy == (predicted == test.labels).double().mean().item()
    assert (result.num_train, result.num_test) == (90, 60)


def test_among_equal_penalties_the_strongest_is_chosen():
    """Clouds that lie apart are told apart with any penalty; the order that they are named in decides nothing."""
    features, labels = clusters(60, spread=0.01)
    train = videos(60, features=features, labels=labels)
    protocol = dataclasses.replace(PROTOCOL, strengths=(1e-3, 1e-1, 1e-2))
    assert choose_strength(train, protocol, seed=0, draw=0) == (1e-1, 1.0)


def test_mean_class_accuracy_by_hand():
    """Two far clusters; of the test videos three of class 0 are right, the one of class 1 is wrong: 3/4 and 1/2."""
    features = torch.tensor([[-1.0], [1.0]]).repeat(10, 1) + 0.01 * torch.randn(20, 1)
    train = LabelledFeatures(features=features, labels=torch.arange(20) % 2, sources=[None] * 20)
    test = LabelledFeatures(features=-torch.ones(4, 1), labels=torch.tensor([0, 0, 0, 1]), sources=[None] * 4)
    result = linear_probe(train, test, LINEAR_PROBES["linear_probe_raw"], seed=0)
    assert (result.accuracy, result.mean_class_accuracy) == (0.75, 0.5)


def test_no_source_is_on_both_sides_of_the_validation_part(generator):
    """Sources of different sizes, one of two classes: each class is held out and trained on, about a fifth of it."""
    labels = np.repeat([0, 1, 2], 60)
    sources = [f"s{place // 60}_{place % 60 // 4}" for place in range(180)]
    sources[0:4] = sources[60:64] = ["shared"] * 4
    mask = validation_part(labels, sources, 0.2, generator)
    assert not {sources[i] for i in np.flatnonzero(mask)} & {sources[i] for i in np.flatnonzero(~mask)}
    held_out = np.bincount(labels[mask])
    assert ((held_out >= 12) & (held_out < 20)).all()


def test_the_validation_part_depends_on_its_generator_alone():
    """One seed one part, another seed another; all videos count as sources of their own where none is known."""
    labels = np.arange(60) % 3
    parts = [validation_part(labels, [None] * 60, 0.2, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert (parts[0] == parts[1]).all()
    assert (parts[0] != parts[2]).any()
    assert np.bincount(labels[parts[0]]).tolist() == [4, 4, 4]


@pytest.mark.parametrize("sources", [["a", "a", "b", "c"], [None, "x", "b", "c"]])
def test_a_class_of_one_source_cannot_be_held_out(generator, sources):
    """Two videos of class 0: of one source they are refused, of two they are not."""
    labels = np.array([0, 0, 1, 1])
    if sources[0] is None:
        assert np.bincount(labels[validation_part(labels, sources, 0.5, generator)]).tolist() == [1, 1]
    else:
        with pytest.raises(TooFewSourcesError, match="class 0 has 2 training videos"):
            validation_part(labels, sources, 0.5, generator)


def test_few_labels_are_as_many_of_each_class(generator):
    """A tenth of 200 in four classes is five of each; a class that has fewer gives all it has; one is the least."""
    labels = np.repeat([0, 1, 2, 3], [100, 60, 37, 3])
    drawn = few_labels(labels, 0.1, generator)
    assert np.bincount(labels[drawn]).tolist() == [5, 5, 5, 3]
    assert len(set(drawn.tolist())) == 18
    assert np.bincount(labels[few_labels(labels, 0.001, generator)]).tolist() == [1, 1, 1, 1]
    assert len(few_labels(np.arange(40) % 4, 1.0, generator)) == 40


def test_few_label_draws_differ_and_come_again():
    """Five draws of each fraction, the same for the same seed; one label a class leaves nothing to choose on."""
    train, test = videos(120), videos(60)
    results = few_label_probes(train, test, FEW_LABELS, seed=0)
    assert results == few_label_probes(train, test, FEW_LABELS, seed=0)
    assert [len(draws) for draws in results.values()] == [5, 5]
    assert {draw.num_train for draw in results[0.01]} == {3}
    assert {draw.num_train for draw in results[0.1]} == {12}
    assert len({draw.accuracy for draw in results[0.01]}) > 1
    assert {(draw.strength, draw.validation_accuracy) for draw in results[0.01]} == {(FEW_LABELS.fixed_strength, None)}
    assert all(draw.validation_accuracy is not None for draw in results[0.1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"features": torch.full((30, 5), float("nan"))}, "finite"), ({"labels": torch.ones(30).long()}, "1 classes")],
)
def test_what_no_classifier_can_be_fitted_to_is_refused(changes, message):
    """Features that are not finite, and a single class."""
    with pytest.raises(ValueError, match=message):
        linear_probe(videos(30, **changes), videos(9), PROTOCOL, seed=0)
