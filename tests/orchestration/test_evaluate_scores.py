"""Protocols on constructed features where the answer is known, what is refused, and what the numbers are called."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rspnet_platform.inference.frozen_evaluation_config import (
    FROZEN_PROTOCOLS,
    ClipChanges,
    FrozenEvaluationConfig,
)
from rspnet_platform.inference.frozen_evaluation_report import ProtocolResult, metrics, table
from rspnet_platform.inference.frozen_evaluation_scores import Score, feature_kind, score
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos

from rspnet_core.evaluation.probe_protocols import (
    FEW_LABELS,
    FewLabelsProtocol,
    LinearProbeProtocol,
    NearestNeighboursProtocol,
)
from tests.labels_alone import labelled_by


@pytest.fixture(autouse=True)
def _on_one_thread() -> Iterator[None]:
    """Tensors are tiny here: on a busy machine a second thread costs many times what it gives."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


def circle(angles: Sequence[float]) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def two_classes(num_videos: int) -> tuple[np.ndarray, LabelledVideos]:
    """Class a around angle 0, class b around 1.5; the last quarter are test videos."""
    generator, labels = np.random.default_rng(0), "ab" * (num_videos // 2)
    angles = 1.5 * (np.arange(num_videos) % 2) + 0.1 * generator.standard_normal(num_videos)
    num_train = num_videos * 3 // 4
    return circle(angles.tolist()), labelled_by(labels, ["train"] * num_train + ["test"] * (num_videos - num_train))


@pytest.mark.parametrize("name", FROZEN_PROTOCOLS)
def test_every_protocol_finds_classes_that_lie_apart(name):
    """All numbers are 1, and those of shuffled labels are not."""
    vectors, videos = two_classes(80)
    found = score(FROZEN_PROTOCOLS[name], vectors, videos, seed=0)
    accuracies = [value for key, value in found.numbers.items() if not key.endswith("_std")]
    assert accuracies == [1.0] * len(accuracies)
    shuffled = score(FROZEN_PROTOCOLS[name], np.random.default_rng(1).permutation(vectors), videos, seed=0)
    assert next(iter(shuffled.numbers.values())) < 0.9


def test_a_gallery_of_fewer_than_k_videos_leaves_k_out_and_says_so():
    """Three in the gallery: neither top-5 nor five neighbours are numbers of anything."""
    vectors, videos = circle([0.0, 0.1, 1.5, 0.05]), labelled_by("aaba", ["train"] * 3 + ["test"])
    retrieval = score(FROZEN_PROTOCOLS["rspnet_code"], vectors, videos, seed=0)
    assert (dict(retrieval.numbers), retrieval.notes["skipped_k"]) == ({"top1": 1.0}, [5, 10, 20, 50])
    votes = score(
        NearestNeighboursProtocol(name="k", description="", num_neighbours=(1, 3, 5)), vectors, videos, seed=0
    )
    assert (dict(votes.numbers), votes.notes["skipped_k"]) == ({"k1": 1.0, "k3": 1.0}, [5])


def test_votes_without_splits_leave_the_video_itself_out():
    """Two videos lie together, of different classes: each would find itself, and finds the other."""
    vectors, videos = circle([0.0, 0.01, 1.5, 1.52]), labelled_by("abaa", [None] * 4)
    found = score(NearestNeighboursProtocol(name="k", description="", num_neighbours=(1,)), vectors, videos, seed=0)
    assert (found.numbers["k1"], found.notes["num_queries"], found.notes["num_gallery"]) == (0.5, 4, 3)


def test_few_labels_say_how_many_and_how_the_penalty_came():
    """1 % of 60 in two classes is one each, with nothing to choose on; 10 % is three each."""
    vectors, videos = two_classes(80)
    notes: Any = score(FROZEN_PROTOCOLS["few_labels"], vectors, videos, seed=0).notes
    assert (notes["1_percent"]["num_labels"], notes["10_percent"]["num_labels"]) == (2, 6)
    assert notes["1_percent"]["is_penalty_chosen"] == [False] * 5
    assert notes["10_percent"]["is_penalty_chosen"] == [True] * 5


def test_the_deviation_over_draws_is_the_samples():
    """The squares over n - 1, of draws that differ; a single draw has none."""
    vectors, videos = two_classes(80)
    mixed = np.random.default_rng(1).permutation(vectors)
    found = score(FROZEN_PROTOCOLS["few_labels"], mixed, videos, seed=0)
    notes: Any = found.notes["1_percent"]
    accuracies = np.array(notes["accuracies"])
    expected = (((accuracies - accuracies.mean()) ** 2).sum() / (5 - 1)) ** 0.5
    assert found.numbers["1_percent_top1_draw_std"] == pytest.approx(expected)
    assert expected > 0
    alone = replace(FEW_LABELS, num_draws=1)
    assert set(score(alone, mixed, videos, seed=0).numbers) == {"1_percent_top1", "10_percent_top1"}


def test_features_that_are_not_finite_are_refused():
    """Under every protocol, not only where a solver would trip over them."""
    vectors, videos = two_classes(40)
    vectors[3, 0] = np.inf
    for protocol in FROZEN_PROTOCOLS.values():
        with pytest.raises(ValueError, match="not finite"):
            score(protocol, vectors, videos, seed=0)


def config(*protocols: str, **changes: Any) -> FrozenEvaluationConfig:
    return FrozenEvaluationConfig(model="random:tiny", protocol=protocols or ("retrieval",), **changes)


def test_protocols_keep_the_name_that_they_were_asked_for_by():
    """`retrieval` is the paper's; `all` is each once; what does not exist is named with what does."""
    assert config("retrieval", "vcop").protocols == {
        "retrieval": FROZEN_PROTOCOLS["rspnet_paper"],
        "vcop": FROZEN_PROTOCOLS["vcop"],
    }
    assert config("all").protocols == dict(FROZEN_PROTOCOLS)
    assert config("linear_probe").protocols["linear_probe"] == FROZEN_PROTOCOLS["linear_probe_normalised"]
    with pytest.raises(ValueError, match=r"protocol is 'rspnet'; accepted are rspnet_paper, .*few_labels, retrieval"):
        config("rspnet")


@pytest.mark.parametrize(
    "changes", [{"num_random_encoders": 0}, {"seed": -1}, {"cpus_per_decode_task": 0.0}, {"num_videos_per_part": 0}]
)
def test_a_wrong_number_is_refused_by_name(changes):
    """With its value."""
    with pytest.raises(ValueError, match=f"{next(iter(changes))} is "):
        config(**changes)


def test_protocols_that_see_the_same_share_it():
    """Six of them look at the average of ten even clips; the ten protocols need four kinds of features."""
    kinds = [feature_kind(protocol) for protocol in FROZEN_PROTOCOLS.values()]
    assert len(set(kinds)) == 4
    assert kinds.count(feature_kind(FROZEN_PROTOCOLS["knn"])) == 7
    assert ClipChanges(crop_size=64).changed == {"crop_size": 64}


def test_metrics_stand_beside_mean_and_deviation_of_random_encoders():
    """1 and 0 make 0.5, and a sample's deviation of the root of (0.5^2 + 0.5^2) / (2 - 1); one alone has none."""
    scores = [Score(numbers={"top1": value}, notes={"skipped_k": [50]}) for value in (0.75, 1.0, 0.0)]
    result = ProtocolResult(stamp="how", score=scores[0], random=scores[1:], damaged=[{"video_index": 3}] * 2)
    assert metrics({"retrieval": result}) == {
        "evaluation/retrieval_top1": 0.75,
        "evaluation/random/retrieval_top1": 0.5,
        "evaluation/random/retrieval_top1_std": pytest.approx(0.5**0.5),
    }
    assert result.to_json() == {
        "protocol": "how",
        "metrics": {"top1": 0.75},
        "random": {"top1": {"mean": 0.5, "std": pytest.approx(0.5**0.5), "values": [1.0, 0.0]}},
        "num_damaged_videos": 2,
        "skipped_k": [50],
    }
    lines = table({"retrieval": result}, "model on data", 2).splitlines()
    assert lines[0] == "model on data"
    assert lines[2].split() == ["retrieval", "top1", "75.0%", "50.0%", "±", "70.7%"]
    assert "fewer videos than k = 50" in lines[3]
    assert "without 2 damaged videos" in lines[4]
    assert lines[-1].strip() == "retrieval: how"
    alone = ProtocolResult(stamp="how", score=scores[0], random=scores[1:2])
    assert set(metrics({"retrieval": alone})) == {"evaluation/retrieval_top1", "evaluation/random/retrieval_top1"}
    assert alone.to_json()["random"]["top1"] == {"mean": 1.0, "std": None, "values": [1.0]}
    lines = table({"retrieval": alone}, "model on data", 1).splitlines()
    assert lines[1].endswith("random, one seed")
    assert lines[2].split() == ["retrieval", "top1", "75.0%", "100.0%"]


def test_no_number_takes_the_name_of_another():
    """The deviation over draws and the one over random encoders are two numbers: each has three metrics."""
    vectors, videos = two_classes(80)
    one = score(FROZEN_PROTOCOLS["few_labels"], vectors, videos, seed=0)
    spread = Score(numbers=dict.fromkeys(one.numbers, 0.5), notes={})
    found = metrics({"few_labels": ProtocolResult(stamp="", score=one, random=[one, spread])})
    assert len(found) == 3 * len(one.numbers) == 12
    assert found["evaluation/random/few_labels_1_percent_top1_std"] == pytest.approx(0.125**0.5)
    assert found["evaluation/few_labels_1_percent_top1_draw_std"] == 0.0


def test_every_stamp_says_pooling_and_windowing():
    """No two protocols have the same, and a linear probe says what it chooses its penalty on."""
    stamps = {name: protocol.stamp for name, protocol in FROZEN_PROTOCOLS.items()}
    assert len(set(stamps.values())) == len(stamps)
    assert all("pooling" in stamp and "windowing" in stamp for stamp in stamps.values())
    probes = [name for name, each in FROZEN_PROTOCOLS.items() if isinstance(each, LinearProbeProtocol)]
    assert all("chosen on 0.2 of the training videos" in stamps[name] for name in probes)
    assert isinstance(FROZEN_PROTOCOLS["few_labels"], FewLabelsProtocol)
    assert "on 1 % and 10 % of the labels" in stamps["few_labels"]
