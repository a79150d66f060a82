"""A protocol's numbers out of features: the same function for the encoder and for random ones beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from rspnet_core.evaluation.cosine_search import num_others_at_least
from rspnet_core.evaluation.label_subsets import TooFewSourcesError
from rspnet_core.evaluation.linear_probe import (
    LabelledFeatures,
    ProbeResult,
    few_label_probes,
    held_out_part,
    linear_probe,
)
from rspnet_core.evaluation.nearest_neighbours import neighbour_classes
from rspnet_core.evaluation.probe_protocols import (
    PROBE_NUM_CLIPS,
    FewLabelsProtocol,
    LinearProbeProtocol,
    NearestNeighboursProtocol,
)
from rspnet_core.evaluation.retrieval_protocol import RetrievalProtocol
from rspnet_platform.inference.frozen_evaluation_config import FrozenProtocol
from rspnet_platform.inference.frozen_evaluation_passes import FeatureKind, Windows
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos, retrieval_result
from rspnet_platform.inference.seed_spread import sample_deviation

DRAW_STD = "draw_std"
"""The sample's deviation (n - 1) over draws of labels; `std` alone is that over random encoders."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """`numbers`: shares from 0 to 1, by what they are; `notes`: what else is to be known of them."""

    numbers: Mapping[str, float]
    notes: Mapping[str, object]


def feature_kind(protocol: FrozenProtocol) -> FeatureKind:
    """What the protocol looks at; probes and votes look at the average pool of even clips."""
    if not isinstance(protocol, RetrievalProtocol):
        return FeatureKind(windows=Windows(windowing="even", num_clips=PROBE_NUM_CLIPS), pooling="average")
    num_clips = protocol.num_clips if protocol.windowing == "even" else 0
    return FeatureKind(windows=Windows(windowing=protocol.windowing, num_clips=num_clips), pooling=protocol.pooling)


def check_labels(name: str, protocol: FrozenProtocol, labelled: LabelledVideos, *, seed: int) -> None:
    """Raises ValueError for labels that the protocol, which goes by `name`, cannot do with. Costs no features."""
    if not needs_splits(protocol):
        return
    if labelled.is_query is None:
        raise ValueError(
            f"protocol {name!r} fits a classifier to one split and scores it on another, and the data set has no "
            "splits (jobs/ingest.py --test-fraction 0.2 draws them); accepted without them are retrieval and knn"
        )
    known = np.flatnonzero(~labelled.is_query)
    if len(classes := np.unique(labelled.labels[known])) < 2:
        raise ValueError(
            f"all labelled videos of the split {labelled.gallery_split!r} are of the class "
            f"{labelled.class_names[classes[0]]!r}; accepted for protocol {name!r} are 2 classes or more"
        )
    if isinstance(protocol, LinearProbeProtocol):
        with naming_the_class(name, labelled):
            held_out_part(labelled.labels[known], labelled.sources[known].tolist(), protocol, seed=seed)


@contextmanager
def naming_the_class(name: str, labelled: LabelledVideos) -> Iterator[None]:
    try:
        yield
    except TooFewSourcesError as error:
        raise ValueError(
            f"protocol {name!r} chooses its penalty on training videos of other sources than it is fitted to, and the "
            f"{error.num_videos} of class {labelled.class_names[error.class_number]!r} have too few; accepted are "
            "classes of two sources or more, or the other protocols"
        ) from error


def needs_splits(protocol: FrozenProtocol) -> bool:
    """A classifier that is fitted to videos says nothing about the very same ones."""
    return isinstance(protocol, LinearProbeProtocol | FewLabelsProtocol)


def score(protocol: FrozenProtocol, vectors: np.ndarray, labelled: LabelledVideos, *, seed: int) -> Score:
    """`vectors` are the features of `labelled`, in its order. ValueError for features that are not finite, and what
    else the protocol refuses."""
    features = torch.from_numpy(vectors)
    if not features.isfinite().all():
        raise ValueError("features are not finite; accepted are finite numbers")
    if isinstance(protocol, RetrievalProtocol):
        result = retrieval_result(features, labelled, protocol)
        return Score(
            numbers={f"top{k}": share for k, share in result.accuracy.items()},
            notes={
                "num_queries": result.num_queries,
                "num_gallery": result.num_gallery,
                "skipped_k": list(result.skipped_k),
            },
        )
    if isinstance(protocol, NearestNeighboursProtocol):
        return _votes(protocol, features, labelled)
    train, test = sides(features, labelled)
    if isinstance(protocol, LinearProbeProtocol):
        with naming_the_class(protocol.name, labelled):  # damaged videos may leave a class with fewer sources
            return _probe(linear_probe(train, test, protocol, seed=seed))
    return _few_labels(few_label_probes(train, test, protocol, seed=seed))


def sides(features: torch.Tensor, labelled: LabelledVideos) -> tuple[LabelledFeatures, LabelledFeatures]:
    """What a classifier is fitted to, and what it is scored on."""
    assert labelled.is_query is not None, "checked before anything is computed"
    whole = LabelledFeatures(
        features=features, labels=torch.from_numpy(labelled.labels), sources=labelled.sources.tolist()
    )
    return whole.at(np.flatnonzero(~labelled.is_query)), whole.at(np.flatnonzero(labelled.is_query))


def _votes(protocol: NearestNeighboursProtocol, features: torch.Tensor, labelled: LabelledVideos) -> Score:
    labels = torch.from_numpy(labelled.labels)
    if labelled.is_query is None:
        is_query = is_gallery = torch.ones_like(labels, dtype=torch.bool)
        sources = torch.from_numpy(labelled.source_numbers)
        num_others = num_others_at_least(sources)
    else:
        is_query, sources = torch.from_numpy(labelled.is_query), None
        is_gallery = ~is_query
        num_others = int(is_gallery.sum())
    numbers = {}
    for k in (k for k in protocol.num_neighbours if k <= num_others):
        found = neighbour_classes(
            features[is_gallery],
            labels[is_gallery],
            features[is_query],
            num_neighbours=k,
            temperature=protocol.temperature,
            sources=sources,
        )
        numbers[f"k{k}"] = (found == labels[is_query]).double().mean().item()
    skipped = [k for k in protocol.num_neighbours if k > num_others]
    notes = {"num_queries": int(is_query.sum()), "num_gallery": num_others, "skipped_k": skipped}
    return Score(numbers=numbers, notes=notes)


def _probe(result: ProbeResult) -> Score:
    return Score(
        numbers={"top1": result.accuracy, "mean_class": result.mean_class_accuracy},
        notes={
            "num_train": result.num_train,
            "num_test": result.num_test,
            "penalty": result.strength,
            "validation_accuracy": result.validation_accuracy,
        },
    )


def _few_labels(results: Mapping[float, list[ProbeResult]]) -> Score:
    numbers: dict[str, float] = {}
    notes: dict[str, object] = {}
    for fraction, draws in results.items():
        name = f"{100 * fraction:g}_percent"
        accuracies = [draw.accuracy for draw in draws]
        numbers[f"{name}_top1"] = float(np.mean(accuracies))
        if (deviation := sample_deviation(accuracies)) is not None:
            numbers[f"{name}_top1_{DRAW_STD}"] = deviation
        notes[name] = {
            "num_labels": draws[0].num_train,
            "num_test": draws[0].num_test,
            "accuracies": accuracies,
            "penalties": [draw.strength for draw in draws],
            "is_penalty_chosen": [draw.validation_accuracy is not None for draw in draws],
        }
    return Score(numbers=numbers, notes=notes)
