"""Which videos an evaluation asks and which it does without: labels that cannot answer, classes that nobody else has,
damaged videos."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.frozen_evaluation import answer, check_damage, protocol_result
from rspnet_platform.inference.frozen_evaluation_config import (
    FROZEN_PROTOCOLS,
    EvaluationData,
    FrozenEvaluationConfig,
)
from rspnet_platform.inference.frozen_evaluation_features import KindOfFeatures
from rspnet_platform.inference.frozen_evaluation_question import labelled_videos
from rspnet_platform.inference.frozen_evaluation_scores import Score, score
from rspnet_platform.inference.retrieval_evaluation import LabelledVideos
from rspnet_platform.inference.unread_videos import NO_REASON, unread_videos
from rspnet_platform.stream.damage import DamageLedger

from tests.labels_alone import dataset_of, labelled_by

TWO_AND_ONE = ["train", "train", "test"]


def config(*protocols: str, **data: Any) -> FrozenEvaluationConfig:
    return FrozenEvaluationConfig(
        model="random:tiny", protocol=protocols or ("retrieval",), data=EvaluationData(**data)
    )


@pytest.mark.parametrize(
    ("labels", "splits", "protocol", "message"),
    [
        ([None] * 3, [None] * 3, "retrieval", "0 of the 3 videos of /data/set have a label; accepted are"),
        (["a", "b", None], TWO_AND_ONE, "retrieval", "not both 'train' and 'test' have one"),
        (["a", "b"], ["train", "val"], "retrieval", "has no split 'test'; accepted .* are train, val"),
        (["a", "b", "a"], [None] * 3, "linear_probe", "/data/set: protocol 'linear_probe' fits .* has no splits"),
        (["a", "b", "a"], [None] * 3, "few_labels", "'few_labels' fits .* has no splits"),
        (["a", "a", "a"], [None] * 3, "knn", "2 or more"),
        (["a", "a", "b"], TWO_AND_ONE, "few_labels", "all labelled .* 'train' are of the class 'a'; accepted for"),
        (["a", "b", "a"], TWO_AND_ONE, "linear_probe", "the 1 of class 'a' have too few; accepted are classes of two"),
    ],
)
def test_a_data_set_that_cannot_answer_is_refused(labels, splits, protocol, message):
    """Before any video is read, with what is missing and what would do."""
    with pytest.raises(ValueError, match=message):
        labelled_videos(config(protocol), dataset_of(labels, splits))


def test_a_class_of_one_source_has_no_probe_but_few_labels():
    """The probe's penalty could not be chosen on another source; few labels have a fixed one for that."""
    data = dataset_of(list("aabbab"), ["train"] * 4 + ["test"] * 2, ["s", "s", "t", "u", None, None])
    with pytest.raises(ValueError, match="the 2 of class 'a' have too few"):
        labelled_videos(config("linear_probe_raw"), data)
    assert labelled_videos(config("few_labels", "knn"), data).class_names == ("a", "b")


def test_other_splits_are_taken_by_name():
    """Kinetics calls its test videos `val`."""
    data = dataset_of(["a", "b", "a"], ["train", "train", "val"])
    found = labelled_videos(config(query_split="val"), data)
    assert found.is_query is not None
    assert (found.is_query.tolist(), found.setting) == ([False, False, True], "gallery train, queries val")


@pytest.mark.parametrize(
    ("labels", "splits", "num_missed"),
    [
        ("abcca", ["train"] * 2 + ["test"] * 3, 2),
        ("abcab", ["train"] * 3 + ["test"] * 2, 0),
        ("abcca", [None] * 5, 1),
    ],
)
def test_queries_whose_class_no_other_has_are_counted_where_the_number_stands(labels, splits, num_missed):
    """They count as misses; a class that the gallery alone has is none of them."""
    found = labelled_by(labels, splits)
    assert found.num_without_class == num_missed
    assert (f"of which {num_missed} have a class that none of these has" in found.setting) == (num_missed > 0)


def found_without(missing: list[int], labels: str, folder: str) -> tuple[Any, Any]:
    """A question, and features of all its videos but those; the first that is missing has its reason in the ledger."""
    num_videos = len(labels)
    data = dataset_of(list(labels), ["train", "test"] * (num_videos // 2))
    ledger = DamageLedger(uri=folder)
    for index in missing[:1]:
        ledger.enter(index, epoch=0, error="no such packet")
    asked = np.arange(num_videos)
    found = np.setdiff1d(asked, missing)
    labelled = LabelledVideos.from_dataset(data)
    question = SimpleNamespace(
        config=config(), dataset=data, labelled=labelled, encoder_input=EncoderInput(), encoders={"trained": None}
    )
    vectors, others = np.random.default_rng(0).standard_normal((2, len(found), 4)).astype(np.float32)
    return question, KindOfFeatures(
        video_indices=found,
        of_encoder={"trained": vectors, "random_0": others},
        damaged=unread_videos(data, asked, found, ledger),
    )


def alone(question: Any, features: KindOfFeatures, encoder: str) -> Score:
    found = question.labelled.found_in(features.video_indices)
    return score(FROZEN_PROTOCOLS["rspnet_paper"], features.of_encoder[encoder], found, seed=0)


def test_damaged_videos_are_listed_with_their_numbers(tmp_path):
    """By id and with their reasons, in what the job prints; the number is of the others."""
    question, features = found_without([3, 8], "aabb" * 30, str(tmp_path))
    check_damage(question, {"any": features})  # pyright: ignore[reportArgumentType]
    result = protocol_result(question, "retrieval", features)
    assert result.score.notes["num_queries"] == 59
    assert result.score == alone(question, features, "trained")
    assert result.random == [alone(question, features, "random_0")] != [result.score]
    assert result.to_json()["num_damaged_videos"] == 2
    question.model = SimpleNamespace(reference="", sha256="", card=SimpleNamespace(encoder="tiny"))
    question.dataset.description.manifest_sha256 = question.dataset.description.version = None
    assert answer(question, {"retrieval": result, "knn": result})["damaged_videos"] == [
        {"video_index": 3, "video_id": "03", "error": "no such packet"},
        {"video_index": 8, "video_id": "08", "error": NO_REASON},
    ]


def test_more_damaged_videos_than_are_allowed_are_an_error(tmp_path):
    """Of 120 one in a hundred, rounded up, are two: the third stops the evaluation, which names them."""
    question, features = found_without([3, 8, 11], "aabb" * 30, str(tmp_path))
    message = r"3 of the 120 videos of /data/set .* --data.max-damaged-fraction 0.01 allows 2:\n  03: no such packet\n"
    with pytest.raises(ValueError, match=message):
        check_damage(question, {"any": features})  # pyright: ignore[reportArgumentType]
    question.config = config(max_damaged_fraction=0.025)
    check_damage(question, {"any": features})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_a_fraction_is_from_0_to_1(fraction):
    """Refused when the config is built."""
    with pytest.raises(ValueError, match=f"max_damaged_fraction is {fraction}; accepted are numbers from 0 to 1"):
        config(max_damaged_fraction=fraction)
