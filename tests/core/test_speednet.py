from math import exp, log

import pytest
import torch

from rspnet_core.pretext.speednet import SpeedNet, pool_speediness
from tests.core.tiny_tasks import CONFIGS, build, context, planned_batch

CONFIG = CONFIGS["speednet"]


def built() -> SpeedNet:
    task = build(CONFIG)
    assert isinstance(task, SpeedNet)
    return task


def test_pooling_by_hand():
    """The largest number of each picture, then the mean over time: (4 + 1) / 2, and (-1 + 8) / 2."""
    first = [[[1.0, 4.0], [0.0, 2.0]], [[1.0, 0.0], [-3.0, 0.5]]]
    second = [[[-1.0, -4.0], [-2.0, -1.5]], [[8.0, 5.0], [7.9, 0.0]]]
    assert pool_speediness(torch.tensor([[first, second]])).tolist() == [[2.5, 3.5]]


def test_loss_and_accuracy_equal_the_equations():
    """Cross entropy of normal or fast, one clip at a time."""
    task, batch = built().eval(), planned_batch(CONFIG)
    losses, hits = [], []
    with torch.no_grad():
        torch.nn.init.normal_(task.classifier.weight)
        output = task(batch, context())
        for clips, labels in zip(batch.clips, batch.labels.tolist(), strict=True):
            assert labels == [0, 1]
            for clip, label in zip(clips, labels, strict=True):
                feature_map = task.encoder(clip[None])[0]
                pooled = torch.stack([frame.flatten(1).max(dim=1).values for frame in feature_map.unbind(1)]).mean(0)
                logits = (task.classifier.weight @ pooled + task.classifier.bias).tolist()
                losses.append(log(sum(exp(x) for x in logits)) - logits[label])
                hits.append(logits[label] == max(logits))
    assert output.loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert output.metrics["speed/loss"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert output.metrics["speed/accuracy"].item() == pytest.approx(sum(hits) / len(hits))
    assert 0 < sum(hits) < len(hits)


def test_a_classifier_of_zeros_is_at_chance():
    """log 2."""
    task = built()
    for parameter in task.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    assert task(planned_batch(CONFIG), context()).loss.item() == pytest.approx(log(2), rel=1e-6)


def test_both_versions_of_a_segment_are_in_one_batch_for_batch_norm():
    """The encoder is called once, with the clips of both speeds."""
    task, batch, shapes = built(), planned_batch(CONFIG), []
    task.encoder.register_forward_pre_hook(lambda _, inputs: shapes.append(len(inputs[0])))
    task(batch, context())
    assert shapes == [16]
