"""What a linear classifier makes of frozen features. The test videos choose nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from rspnet_core.evaluation.label_subsets import TooFewSourcesError, few_labels, validation_part
from rspnet_core.evaluation.logistic_regression import fit_logistic_regression
from rspnet_core.evaluation.probe_protocols import FewLabelsProtocol, LinearProbeProtocol, Scaling
from rspnet_core.random_streams import random_stream


@dataclass(frozen=True, kw_only=True)
class LabelledFeatures:
    """Features of videos, their classes as numbers, and the source that each was cut from, where it is known."""

    features: Float[Tensor, "videos feature"]
    labels: Int64[Tensor, " videos"]
    sources: Sequence[str | None]

    def at(self, places: np.ndarray) -> "LabelledFeatures":
        chosen = torch.from_numpy(places)
        return LabelledFeatures(
            features=self.features[chosen],
            labels=self.labels[chosen],
            sources=[self.sources[place] for place in places.tolist()],
        )


@dataclass(frozen=True, kw_only=True)
class ProbeResult:
    """`accuracy`: share of test videos whose class was found; `mean_class_accuracy`: the mean of that over the test
    videos' classes. `validation_accuracy`: of the penalty that was chosen, none where there was nothing to choose on.
    """

    accuracy: float
    mean_class_accuracy: float
    strength: float
    validation_accuracy: float | None
    num_train: int
    num_test: int


def linear_probe(
    train: LabelledFeatures, test: LabelledFeatures, protocol: LinearProbeProtocol, *, seed: int
) -> ProbeResult:
    """Chooses the penalty on a part of `train`, fits to all of it and scores on `test`.

    Raises ValueError for features that are not finite, fewer than two classes, and a class all of whose training videos
    have one source.
    """
    _check(train, test)
    strength, validation_accuracy = choose_strength(train, protocol, seed=seed, draw=0)
    return _score(train, test, protocol.scaling, strength, validation_accuracy)


def few_label_probes(
    train: LabelledFeatures, test: LabelledFeatures, protocol: FewLabelsProtocol, *, seed: int
) -> dict[float, list[ProbeResult]]:
    """One result a draw, for each fraction of the labels. Raises as `linear_probe`, but for the sources."""
    _check(train, test)
    return {
        fraction: [
            _few_label_probe(train, test, protocol, fraction, seed=seed, draw=draw)
            for draw in range(protocol.num_draws)
        ]
        for fraction in protocol.label_fractions
    }


def _few_label_probe(
    train: LabelledFeatures,
    test: LabelledFeatures,
    protocol: FewLabelsProtocol,
    fraction: float,
    *,
    seed: int,
    draw: int,
) -> ProbeResult:
    generator = random_stream(seed, draw, 0, f"few_labels/{fraction}")
    known = train.at(few_labels(train.labels.numpy(), fraction, generator))
    try:
        strength, validation_accuracy = choose_strength(known, protocol.probe, seed=seed, draw=draw)
    except TooFewSourcesError:
        strength, validation_accuracy = protocol.fixed_strength, None
    return _score(known, test, protocol.probe.scaling, strength, validation_accuracy)


def choose_strength(
    train: LabelledFeatures, protocol: LinearProbeProtocol, *, seed: int, draw: int
) -> tuple[float, float]:
    """The penalty with the best accuracy on the part of `train` that is held out, and that accuracy; among equals the
    strongest. Raises TooFewSourcesError as `validation_part` does."""
    is_held_out = held_out_part(train.labels.numpy(), train.sources, protocol, seed=seed, draw=draw)
    fitted, held_out = train.at(np.flatnonzero(~is_held_out)), train.at(np.flatnonzero(is_held_out))
    features, validation_features = scale(fitted.features, held_out.features, protocol.scaling)
    classifier, best = None, (0.0, -1.0)
    for strength in sorted(protocol.strengths, reverse=True):
        classifier = fit_logistic_regression(features, fitted.labels, strength=strength, start=classifier)
        accuracy = _share(classifier.predict(validation_features) == held_out.labels)
        if accuracy > best[1]:
            best = strength, accuracy
    return best


def held_out_part(
    labels: np.ndarray, sources: Sequence[str | None], protocol: LinearProbeProtocol, *, seed: int, draw: int = 0
) -> np.ndarray:
    """bool [videos]: which of them the penalty is chosen on. Raises TooFewSourcesError as `validation_part` does."""
    generator = random_stream(seed, draw, 0, "validation_part")
    return validation_part(labels, sources, protocol.validation_fraction, generator)


def scale(
    train: Float[Tensor, "num_train feature"], test: Float[Tensor, "num_test feature"], scaling: Scaling
) -> tuple[Float64[Tensor, "num_train feature"], Float64[Tensor, "num_test feature"]]:
    """Both as the protocol says, and then moved and stretched as a whole so that the training features have mean 0 and
    mean squared length 1: the first changes nothing, since the bias is free, the second makes penalties compare."""
    train, test = train.double(), test.double()
    if scaling == "l2_normalised":
        train, test = F.normalize(train, dim=1), F.normalize(test, dim=1)
    mean = train.mean(dim=0)
    train, test = train - mean, test - mean
    if scaling == "standardised":
        deviation = train.square().mean(dim=0).sqrt()
        deviation[deviation == 0] = 1  # always the same number: there is nothing to scale
        train, test = train / deviation, test / deviation
    length = train.square().sum(dim=1).mean().sqrt()
    return (train / length, test / length) if length > 0 else (train, test)


def _score(
    train: LabelledFeatures,
    test: LabelledFeatures,
    scaling: Scaling,
    strength: float,
    validation_accuracy: float | None,
) -> ProbeResult:
    features, test_features = scale(train.features, test.features, scaling)
    classifier = fit_logistic_regression(features, train.labels, strength=strength)
    is_right = classifier.predict(test_features) == test.labels
    per_class = [_share(is_right[test.labels == each]) for each in test.labels.unique()]
    return ProbeResult(
        accuracy=_share(is_right),
        mean_class_accuracy=float(np.mean(per_class)),
        strength=strength,
        validation_accuracy=validation_accuracy,
        num_train=len(train.labels),
        num_test=len(test.labels),
    )


def _share(is_right: Bool[Tensor, " videos"]) -> float:
    return is_right.double().mean().item()


def _check(train: LabelledFeatures, test: LabelledFeatures) -> None:
    if len(test.labels) == 0 or len(train.labels.unique()) < 2:
        raise ValueError(
            f"{len(test.labels)} test videos and {len(train.labels.unique())} classes to train on; accepted are 1 test "
            "video and 2 classes or more"
        )
    if not (train.features.isfinite().all() and test.features.isfinite().all()):
        raise ValueError("features are not finite; accepted are finite numbers")
