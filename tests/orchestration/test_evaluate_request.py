"""What an evaluation's features are known by: all that decides them, and nothing else."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rspnet_platform.inference.frozen_evaluation_config import ClipChanges, EvaluationData, FrozenEvaluationConfig
from rspnet_platform.inference.frozen_evaluation_question import Question, settle
from rspnet_platform.inference.frozen_evaluation_request import FeatureRequest
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.tracking.tracking_config import TrackingConfig


def asked(dataset: ShardedDataset, **changes: Any) -> Question:
    values: dict[str, Any] = {"model": "random:tiny", "data": EvaluationData(shards=dataset.uri), "is_tracked": False}
    values |= {"clips": ClipChanges(num_frames_per_clip=4, crop_size=32)}
    return settle(FrozenEvaluationConfig(**(values | changes)))


def sha256(question: Question, *, use_gpu: bool = False) -> str:
    return FeatureRequest.of(question, use_gpu=use_gpu).sha256


@pytest.mark.parametrize(
    "changes",
    [
        {"model": "random:tiny:1"},
        {"num_random_encoders": 1},
        {"protocol": ("retrieval", "coclr")},
        {"clips": ClipChanges(num_frames_per_clip=4, crop_size=64)},
        {"num_videos_per_part": 3},
    ],
)
def test_another_question_is_another_request(small_dataset: ShardedDataset, changes: dict[str, Any]):
    """Whatever decides a feature, or where it stands."""
    assert sha256(asked(small_dataset, **changes)) != sha256(asked(small_dataset))


def test_other_videos_are_another_request(small_dataset: ShardedDataset):
    """Another hash, version or copy of the data set, fewer videos, another decoder, another kind of device."""
    question = asked(small_dataset)
    description = small_dataset.description
    others = [
        replace(question, dataset=replace(small_dataset, description=replace(description, **change)))
        for change in ({"manifest_sha256": "0" * 64}, {"version": description.version + 1})
    ]
    others += [
        replace(question, dataset=replace(small_dataset, uri="/another/copy")),
        replace(question, labelled=question.labelled.found_in(np.arange(5))),
        replace(question, config=replace(question.config, data=replace(question.config.data, decoder="decord"))),
    ]
    found = {sha256(question), sha256(question, use_gpu=True), *map(sha256, others)}
    assert len(found) == 2 + len(others)


def test_an_equal_question_is_the_same_request(small_dataset: ShardedDataset):
    """Where numbers are tracked, what the model is called and how probes draw decides no feature."""
    same = {"model": "random:tiny:0", "tracking": TrackingConfig(uri="sqlite:///elsewhere.db"), "seed": 3}
    assert sha256(asked(small_dataset, **same)) == sha256(asked(small_dataset))
