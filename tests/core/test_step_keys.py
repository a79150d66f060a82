"""A positive's rank among the step's own keys: by hand, by the tasks' own networks, and whatever the queue holds."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.pretext.rspnet import RSPNet
from rspnet_core.pretext.step_keys import StepKeys, joined
from tests.core.tiny_tasks import ALL, build, context, planned_batch

METRIC = "instance/top1_own_batch"
PAIRS = {
    "rspnet": [(0, 1), (0, 2)],
    "appearance_instance": [(0, 1), (0, 2)],
    "moco": [(0, 1), (1, 0)],
    "moco, three clips": [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)],
}
"""Clips that are query and positive."""
OTHERS = {"rspnet": [2], "appearance_instance": [2], "moco": [0, 1], "moco, three clips": [0, 1, 2]}
"""Clips whose keys the step brings: they are enqueued."""


def test_a_rank_by_hand() -> None:
    """Cosines of 0.8 against 0.6 hit, of 0.8 against 0.8 and of 0.6 against 1 miss; keys of the query's own video do
    not count, wherever they come from."""
    keys = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [0.8, 0.6]])
    step = StepKeys.gather(keys, torch.tensor([0, 1, 2, 0]))
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    positive = torch.tensor([[0.8, 0.6], [0.6, 0.8], [0.6, 0.8]])
    videos = torch.tensor([0, 1, 2])
    assert step.top1(query, [positive], videos).item() == pytest.approx(1 / 3)
    assert step.top1(query, [positive, query], videos).item() == pytest.approx((1 + 2) / 6)


def test_keys_are_joined_worker_by_worker() -> None:
    """Each worker's micro-batches in their order."""
    parts = [
        StepKeys(
            features=torch.tensor([[[first]], [[first + 10.0]]]), video_index=torch.tensor([[first], [first + 10]])
        )
        for first in (1, 2, 3)
    ]
    features, videos = joined(parts)
    assert videos.tolist() == features.flatten().tolist() == [1, 2, 3, 11, 12, 13]


def heads(task: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
    prefix = "instance_" if isinstance(task, RSPNet) else ""
    return task.get_submodule(f"{prefix}head"), task.get_submodule(f"key_{prefix}head")


def slow_rank(name: str, queries: Tensor, keys: Tensor) -> float:
    """One query, one key at a time. Both: [batch, clips, embedding]."""
    hits = []
    for video in range(len(queries)):
        for query, positive in PAIRS[name]:
            near = queries[video, query] @ keys[video, positive]
            others = [keys[other, clip] for other in range(len(keys)) if other != video for clip in OTHERS[name]]
            hits.append(all((near > queries[video, query] @ key).item() for key in others))
    return sum(hits) / len(hits)


@pytest.mark.parametrize("name", PAIRS)
def test_tasks_with_a_queue_measure_it(name: str) -> None:
    """Among the very keys that enter the queue. A queue that holds the queries themselves spoils `top1` alone."""
    task, batch = build(ALL[name]).eval(), planned_batch(ALL[name])
    head, key_head = heads(task)
    for parameter in head.parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)  # so that some queries miss
    with torch.no_grad():
        clips, shape = batch.clips.flatten(0, 1), batch.clips.shape[:2]
        queries, keys = (
            F.normalize(embed(encode(clips)), dim=1).unflatten(0, shape)
            for encode, embed in ((task.encoder, head), (task.get_submodule("key_encoder"), key_head))
        )
        expected = slow_rank(name, queries, keys)
        assert 0 < expected < 1
        assert task(batch, context()).metrics[METRIC].item() == pytest.approx(expected)
        features = task.get_submodule("queue").state_dict()["features"]
        features.copy_(queries.flatten(0, 1)[: len(features)].repeat(len(features), 1)[: len(features)])
        metrics = task(batch, context()).metrics
    assert metrics[METRIC].item() == pytest.approx(expected)
    assert metrics["instance/top1"] < metrics[METRIC]
