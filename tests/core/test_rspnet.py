import dataclasses
from math import sqrt

import pytest
import torch
import torch.nn.functional as F

from rspnet_core.pretext.rspnet import RSPNet, feature_std
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.task import PretextBatch, StepContext

CONFIG = RSPNetConfig(encoder="tiny", embedding_dim=16, queue_size=32)
CONTEXT = StepContext(step=0, num_steps=100, seed=0)


def make_batch(batch_size: int = 4, size: int = 16) -> PretextBatch:
    return PretextBatch(
        clips=torch.randn(batch_size, 3, 3, 4, size, size),
        playback_speeds=torch.tensor([[1.0, 1.0, 2.0]]).expand(batch_size, 3),
        labels=torch.zeros(batch_size, 1).long(),
        video_index=torch.arange(batch_size),
    )


def slow_loss(task: RSPNet, batch: PretextBatch) -> tuple[float, float, float]:
    """(total, ranking, instance), one video at a time, from the equations; the task must be in eval mode."""
    config, ranking, instance = task.config, 0.0, 0.0
    for clips, video in zip(batch.clips, batch.video_index, strict=True):
        feature_map = task.encoder(clips[:1])
        key_maps = [task.key_encoder(clips[i : i + 1]) for i in (1, 2)]
        speed, instances = (
            [
                F.normalize(head(feature_map)[0], dim=0),
                *(F.normalize(key_head(m)[0], dim=0) for m in key_maps),
            ]
            for head, key_head in (
                (task.speed_head, task.key_speed_head),
                (task.instance_head, task.key_instance_head),
            )
        )
        lead = speed[0] @ speed[1] - speed[0] @ speed[2]
        ranking += max(0.0, config.ranking_margin - lead.item())
        negatives = [
            (instances[0] @ key / config.temperature).exp()
            for key, index in zip(task.queue.features, task.queue.video_index, strict=True)
            if not (config.mask_same_video and index == video)
        ]
        chosen = {"both": (1, 2), "same_speed": (1,), "other_speed": (2,)}[config.instance_positives]
        for i in chosen:
            near = (instances[0] @ instances[i] / config.temperature).exp()
            instance -= (near / (near + sum(negatives))).log().item()
    ranking, instance = ranking / len(batch.clips), instance / len(batch.clips)
    return config.ranking_weight * ranking + config.instance_weight * instance, ranking, instance


@pytest.mark.parametrize("positives", ["both", "same_speed", "other_speed"])
@pytest.mark.parametrize("mask_same_video", [True, False])
def test_loss_equals_the_equations(positives: str, mask_same_video: bool):
    """Total, ranking and instance losses of a batch whose videos have older keys in the queue."""
    config = dataclasses.replace(CONFIG, instance_positives=positives, mask_same_video=mask_same_video)
    task = RSPNet(config).eval()
    batch = make_batch()
    task(make_batch(), CONTEXT)
    task.after_step()
    for parameter in task.speed_head.parameters():
        torch.nn.init.normal_(parameter)  # So that key and query networks differ.
    output = task(batch, CONTEXT)
    with torch.no_grad():
        total, ranking, instance = slow_loss(task, batch)
    assert output.loss.item() == pytest.approx(total, rel=1e-4)
    assert output.metrics["speed_ranking/loss"].item() == pytest.approx(ranking, rel=1e-4)
    assert output.metrics["instance/loss"].item() == pytest.approx(instance, rel=1e-4)


def test_defaults_are_the_published_point():
    """Margin 2.0 on cosines over 0.07, both losses with weight one."""
    config = RSPNetConfig()
    assert config.ranking_margin / config.temperature == pytest.approx(2.0)
    assert config.ranking_weight * config.temperature == pytest.approx(1.0)
    assert (config.instance_weight, config.instance_positives, config.enqueued_keys) == (
        1.0,
        "both",
        "other_speed",
    )


def test_the_same_speed_key_is_the_nearer_one():
    """Swapping the two keys swaps the sign of every lead: the accuracies add up to one."""
    task, batch = RSPNet(CONFIG).eval(), make_batch(8)
    swapped = dataclasses.replace(batch, clips=batch.clips[:, [0, 2, 1]])
    accuracies = [task(each, CONTEXT).metrics["speed_ranking/accuracy"].item() for each in (batch, swapped)]
    assert sum(accuracies) == pytest.approx(1.0)


def test_permuting_the_batch_changes_nothing():
    """Loss and metrics belong to the set of videos, also with batch norm in train mode."""
    task, batch, order = RSPNet(CONFIG), make_batch(6), torch.randperm(6)
    permuted = PretextBatch(**{name: tensor[order] for name, tensor in vars(batch).items()})
    one, other = task(batch, CONTEXT), task(permuted, CONTEXT)
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-4, atol=1e-5)
    for name, value in one.metrics.items():
        torch.testing.assert_close(value, other.metrics[name], rtol=1e-3, atol=1e-4)


def test_the_scale_of_the_heads_does_not_matter():
    """Embeddings are unit vectors: heads ten times as large give the same loss."""
    task, batch = RSPNet(CONFIG).eval(), make_batch()
    before = task(batch, CONTEXT).loss
    for head in (task.instance_head, task.speed_head, task.key_instance_head, task.key_speed_head):
        for parameter in head.parameters():
            parameter.data.mul_(10)
    torch.testing.assert_close(task(batch, CONTEXT).loss, before, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("enqueued", "place"), [("other_speed", 2), ("same_speed", 1)])
def test_after_step_enqueues_the_configured_key(enqueued: str, place: int):
    """The queue is untouched by forward; after the step its first places hold that clip's instance keys."""
    task, batch = RSPNet(dataclasses.replace(CONFIG, enqueued_keys=enqueued)).eval(), make_batch()
    before = task.queue.features.clone()
    task(batch, CONTEXT)
    assert torch.equal(task.queue.features, before)
    expected = F.normalize(task.key_instance_head(task.key_encoder(batch.clips[:, place])), dim=1)
    task.after_step()
    torch.testing.assert_close(task.queue.features[:4], expected)
    assert torch.equal(task.queue.features[4:], before[4:])
    assert task.queue.video_index[:5].tolist() == [0, 1, 2, 3, -1]


def test_after_step_moves_all_three_key_networks():
    """Encoder and both heads follow by 1 - momentum; before any step they are equal."""
    task = RSPNet(dataclasses.replace(CONFIG, key_momentum=0.75))
    pairs = (
        (task.encoder, task.key_encoder),
        (task.instance_head, task.key_instance_head),
        (task.speed_head, task.key_speed_head),
    )
    expected = []
    for source, copy in pairs:
        for parameter, key in zip(source.parameters(), copy.parameters(), strict=True):
            assert torch.equal(parameter, key)
            parameter.data.add_(1.0)
            expected.append(key + 0.25)
    task(make_batch(), CONTEXT)
    task.after_step()
    moved = [key for _, copy in pairs for key in copy.parameters()]
    for key, value in zip(moved, expected, strict=True):
        torch.testing.assert_close(key, value)


def test_gradient_reaches_every_trained_parameter_and_no_key():
    """What DistributedDataParallel with find_unused_parameters=False asks for."""
    task = RSPNet(CONFIG)
    task(make_batch(), CONTEXT).loss.backward()
    trained = dict(task.named_parameters())
    assert {name for name, parameter in trained.items() if parameter.grad is None} == {
        name for name in trained if name.startswith("key_")
    }


def test_requirements_refuse_what_would_train_something_else():
    """Unmasked, the queue must be smaller than the data set; the global batch fits into the queue."""
    masked = RSPNet(CONFIG).requirements()
    masked.check(num_videos=2, global_batch_size=32)
    with pytest.raises(ValueError, match="up to 32"):
        masked.check(num_videos=100, global_batch_size=33)
    unmasked = RSPNet(dataclasses.replace(CONFIG, mask_same_video=False)).requirements()
    unmasked.check(num_videos=33, global_batch_size=8)
    with pytest.raises(ValueError, match="33 or more"):
        unmasked.check(num_videos=32, global_batch_size=8)


def test_feature_std_by_hand():
    """Equal features: 0. Half the batch on each of two axes of the plane: std 1/2 twice, times sqrt(2)."""
    assert feature_std(torch.ones(4, 8)).item() == pytest.approx(0.0, abs=1e-6)
    assert feature_std(torch.tensor([[3.0, 0.0], [0.0, 5.0]])).item() == pytest.approx(sqrt(2) / 2)
    assert feature_std(torch.randn(4096, 32)).item() == pytest.approx(1.0, abs=0.02)
