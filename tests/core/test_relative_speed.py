"""RSP alone, for two speeds and for more."""

from collections.abc import Iterable
from dataclasses import replace
from math import log2

import pytest
import torch
from torch import Tensor, nn

from rspnet_core.pretext.relative_speed import RelativeSpeed
from rspnet_core.pretext.rspnet import RSPNet
from rspnet_core.pretext.task import PretextBatch
from tests.core.tiny_tasks import ALL, CONFIGS, build, context, planned_batch, steps

NAMES = [name for name in ALL if name.startswith("relative_speed")]


def built(config) -> RelativeSpeed:
    task = build(config)
    assert isinstance(task, RelativeSpeed)
    return task


def scatter(parameters: Iterable[nn.Parameter]) -> None:
    """So that key and query networks differ."""
    for parameter in parameters:
        nn.init.normal_(parameter, std=0.3)


def slow_loss_and_accuracy(task: RelativeSpeed, batch: PretextBatch) -> tuple[float, float]:
    """One video, one pair of keys at a time; the task must be in eval mode."""
    config, losses, accuracies = task.config, [], []
    is_slow_copy = config.key_network == "momentum"

    def embedding(clip: Tensor, is_key: bool) -> Tensor:
        encoder, head = (task.key_encoder, task.key_head) if is_key and is_slow_copy else (task.encoder, task.head)
        vector = head(encoder(clip[None]))[0]
        return vector / vector.norm()

    for clips, speeds in zip(batch.clips, batch.playback_speeds.tolist(), strict=True):
        anchor = embedding(clips[0], is_key=False)
        cosines = [(anchor @ embedding(clip, is_key=True)).item() for clip in clips[1:]]
        distances = [abs(log2(speeds[0] / speed)) for speed in speeds[1:]]
        terms, hits = [], []
        for near, near_distance in zip(cosines, distances, strict=True):
            for far, far_distance in zip(cosines, distances, strict=True):
                if far_distance > near_distance + 1e-6:
                    gap = config.ranking_margin * (far_distance - near_distance)
                    terms.append(max(0.0, gap - (near - far)))
                    hits.append(near > far)
        losses.append(sum(terms) / len(terms))
        accuracies.append(sum(hits) / len(hits))
    return sum(losses) / len(losses), sum(accuracies) / len(accuracies)


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_accuracy_equal_the_equations(name: str):
    """Hinges over all pairs of keys of which one is nearer in speed, with the weight outside."""
    config = replace(ALL[name], ranking_weight=3.0)
    task, batch = built(config).eval(), planned_batch(config)
    scatter(task.head.parameters())
    with torch.no_grad():
        output = task(batch, context())
        loss, accuracy = slow_loss_and_accuracy(task, batch)
    assert output.loss.item() == pytest.approx(3 * loss, rel=1e-4)
    assert output.metrics["speed_ranking/loss"].item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["speed_ranking/accuracy"].item() == pytest.approx(accuracy)
    assert 0 < accuracy < 1


def as_rspnet(task: RelativeSpeed) -> RSPNet:
    """RSPNet without instance discrimination, in the same state."""
    other = build(replace(CONFIGS["rspnet"], instance_weight=0.0))
    assert isinstance(other, RSPNet)
    for network, same in (
        (other.encoder, task.encoder),
        (other.speed_head, task.head),
        (other.key_encoder, task.key_encoder),
        (other.key_speed_head, task.key_head),
    ):
        network.load_state_dict(same.state_dict())
    return other


def test_two_speeds_are_rspnet_without_instance_discrimination():
    """Same plan, same loss, gradients and parameters over three steps, batch norm in train mode."""
    task, batch = built(CONFIGS["relative_speed"]), planned_batch(CONFIGS["relative_speed"], range(12))
    assert len(set(batch.playback_speeds[:, 0].tolist())) == 2
    assert (batch.playback_speeds[:, 0] == batch.playback_speeds[:, 1]).all()
    other = as_rspnet(task)
    for step in range(3):
        [report], [expected] = (steps(each, [batch], [context(step)]) for each in (task, other))
        assert report.loss == pytest.approx(expected.loss, rel=1e-5)
        assert report.metrics["speed_ranking/accuracy"] == expected.metrics["speed_ranking/accuracy"]
        for mine, same in ((task.encoder, other.encoder), (task.head, other.speed_head)):
            for parameter, twin in zip(mine.parameters(), same.parameters(), strict=True):
                torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-3, atol=1e-6)
                torch.testing.assert_close(parameter, twin, rtol=1e-4, atol=1e-6)
        for key, twin in zip(task.key_encoder.parameters(), other.key_encoder.parameters(), strict=True):
            torch.testing.assert_close(key, twin, rtol=1e-5, atol=1e-7)


def test_momentum_copies_of_encoder_and_head_follow():
    """By 1 - momentum; before any step they are equal."""
    task = built(replace(CONFIGS["relative_speed"], key_momentum=0.75))
    pairs = ((task.encoder, task.key_encoder), (task.head, task.key_head))
    expected = []
    for source, copy in pairs:
        for parameter, key in zip(source.parameters(), copy.parameters(), strict=True):
            assert torch.equal(parameter, key)
            parameter.data.add_(1.0)
            expected.append(key + 0.25)
    task.after_step()
    for key, value in zip((key for _, copy in pairs for key in copy.parameters()), expected, strict=True):
        torch.testing.assert_close(key, value)


def test_trained_keys_pass_the_gradient_through_keys():
    """No copies; the gradient is that of the loss with all clips through one network."""
    config = replace(ALL["relative_speed, trained keys"], ranking_margin=2.0, ranking_weight=1.0)
    task, batch = built(config).eval(), planned_batch(config)
    assert not [key for key, _ in task.named_parameters() if key.startswith("key_")]
    task(batch, context()).loss.backward()
    # A margin of 2 is never reached: the loss is 2 - (cosine of same speed - cosine of other speed), on average.
    vectors = [nn.functional.normalize(task.head(task.encoder(batch.clips[:, place])), dim=1) for place in range(3)]
    loss = (2 - (vectors[0] * (vectors[1] - vectors[2])).sum(dim=1)).mean()
    expected = torch.autograd.grad(loss, list(task.parameters()))
    for parameter, gradient in zip(task.parameters(), expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"key_momentum": 1.5}, {"ranking_weight": 0.0}, {"ranking_margin": -0.1}])
def test_wrong_values_are_refused_by_name(wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(CONFIGS["relative_speed"], **wrong)
