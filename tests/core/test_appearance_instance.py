"""A-VID alone."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from rspnet_core.pretext.appearance_instance import AppearanceInstance
from rspnet_core.pretext.rspnet import RSPNet
from tests.core.tiny_tasks import CONFIGS, build, context, planned_batch, steps

CONFIG = CONFIGS["appearance_instance"]


def built(**changes) -> AppearanceInstance:
    task = build(replace(CONFIG, **changes))
    assert isinstance(task, AppearanceInstance)
    return task


def as_rspnet(task: AppearanceInstance) -> RSPNet:
    """RSPNet without ranking, in the same state."""
    shared = ("instance_positives", "enqueued_keys", "mask_same_video", "key_momentum")
    changes = {name: getattr(task.config, name) for name in shared}
    other = build(replace(CONFIGS["rspnet"], ranking_weight=0.0, **changes))
    assert isinstance(other, RSPNet)
    for network, same in (
        (other.encoder, task.encoder),
        (other.instance_head, task.head),
        (other.key_encoder, task.key_encoder),
        (other.key_instance_head, task.key_head),
        (other.queue, task.queue),
    ):
        network.load_state_dict(same.state_dict())
    return other


@pytest.mark.parametrize("positives", ["both", "same_speed", "other_speed"])
@pytest.mark.parametrize("enqueued", ["same_speed", "other_speed"])
def test_it_is_rspnet_without_ranking(positives: str, enqueued: str):
    """Same loss, gradients, parameters, queue and running statistics over steps that fill the queue and go on."""
    task = built(instance_positives=positives, enqueued_keys=enqueued, key_momentum=0.9)
    other = as_rspnet(task)
    for step in range(4):
        batch = planned_batch(CONFIG, range(4 * step, 4 * step + 8))
        [report], [expected] = (steps(each, [batch], [context(step)]) for each in (task, other))
        assert report.loss == pytest.approx(expected.loss, rel=1e-5)
        assert report.metrics["instance/top1"] == expected.metrics["instance/top1"]
        for mine, same in (
            (task.encoder, other.encoder),
            (task.head, other.instance_head),
            (task.key_encoder, other.key_encoder),
            (task.key_head, other.key_instance_head),
            (task.queue, other.queue),
        ):
            for parameter, twin in zip(mine.parameters(), same.parameters(), strict=True):
                torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-3, atol=1e-6)
            for (key, tensor), twin in zip(mine.state_dict().items(), same.state_dict().values(), strict=True):
                torch.testing.assert_close(tensor, twin, rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.parametrize(("enqueued", "place"), [("other_speed", 2), ("same_speed", 1)])
def test_the_configured_keys_enter_the_queue_after_the_step(enqueued: str, place: int):
    """Not in the forward pass; in the order of the batch, under their videos."""
    task, batch = built(enqueued_keys=enqueued).eval(), planned_batch(CONFIG, range(10, 16))
    before = task.queue.features.clone()
    task(batch, context())
    assert torch.equal(task.queue.features, before)
    expected = F.normalize(task.key_head(task.key_encoder(batch.clips[:, place])), dim=1)
    task.after_step()
    torch.testing.assert_close(task.queue.features[:6], expected)
    assert torch.equal(task.queue.features[6:], before[6:])
    assert task.queue.video_index.tolist() == [*range(10, 16), *[-1] * 18]
