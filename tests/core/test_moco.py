"""rho-MoCo, and what tasks with a queue share: which keys enter it, and how the key network follows."""

from dataclasses import replace
from math import exp, log

import pytest
import torch
import torch.nn.functional as F

from rspnet_core.pretext.moco import MoCo
from rspnet_core.pretext.moco_config import MoCoConfig
from rspnet_core.pretext.task import PretextBatch
from tests.core.tiny_tasks import ALL, CONFIGS, build, context, planned_batch, steps

NAMES = ["moco", "moco, three clips"]


def built(name: str = "moco", **changes) -> MoCo:
    task = build(replace(ALL[name], **changes))
    assert isinstance(task, MoCo)
    return task


def with_older_keys(task: MoCo, older: PretextBatch) -> MoCo:
    """In eval mode, its heads apart from each other, and these clips' keys in its queue."""
    task.eval()(older, context())
    task.after_step()
    for parameter in task.head.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return task


def slow_clip_losses(task: MoCo, batch: PretextBatch) -> tuple[list[float], float]:
    """(each clip's loss, the share of right answers): one query, one key at a time; in eval mode."""
    num_clips, temperature = batch.clips.shape[1], task.config.temperature
    losses, hits = [0.0] * num_clips, []
    for clips, video in zip(batch.clips, batch.video_index.tolist(), strict=True):
        queries = [F.normalize(task.head(task.encoder(clip[None]))[0], dim=0) for clip in clips]
        keys = [F.normalize(task.key_head(task.key_encoder(clip[None]))[0], dim=0) for clip in clips]
        for place, query in enumerate(queries):
            negatives = [
                (query @ key).item()
                for key, index in zip(task.queue.features, task.queue.video_index.tolist(), strict=True)
                if not (task.config.mask_same_video and index == video)
            ]
            for other, key in enumerate(keys):
                if other != place:
                    positive = (query @ key).item()
                    total = sum(exp(cosine / temperature) for cosine in [positive, *negatives])
                    loss = -log(exp(positive / temperature) / total)
                    losses[place] += loss / (num_clips - 1) / len(batch.clips)
                    hits.append(positive > max(negatives))
    return losses, sum(hits) / len(hits)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mask_same_video", [True, False])
def test_the_loss_equals_the_equations(name: str, mask_same_video: bool):
    """Each clip a query: the mean over the other clips' keys; the sum over queries, their mean in the metric."""
    batch, older = (planned_batch(ALL[name], range(4), epoch) for epoch in (1, 0))
    task = with_older_keys(built(name, mask_same_video=mask_same_video), older)
    with torch.no_grad():
        output = task(batch, context())
        losses, top1 = slow_clip_losses(task, batch)
    assert output.loss.item() == pytest.approx(sum(losses), rel=1e-4)
    assert output.metrics["instance/loss"].item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert output.metrics["instance/top1"].item() == pytest.approx(top1)
    # Older keys of the same video are near enough to weigh in the sum: masking them shows.
    other = built(name, mask_same_video=not mask_same_video).eval()
    other.load_state_dict(task.state_dict())
    assert abs(other(batch, context()).loss.item() - sum(losses)) > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_the_keys_of_all_clips_enter_the_queue_after_the_step(name: str):
    """Video by video, each video's in the order of its clips; nothing before the step."""
    task, batch = built(name).eval(), planned_batch(ALL[name], range(10, 14))
    num_clips = batch.clips.shape[1]
    before = task.queue.features.clone()
    task(batch, context())
    assert torch.equal(task.queue.features, before)
    expected = F.normalize(task.key_head(task.key_encoder(batch.clips.flatten(0, 1))), dim=1)
    task.after_step()
    torch.testing.assert_close(task.queue.features[: 4 * num_clips], expected)
    assert torch.equal(task.queue.features[4 * num_clips :], before[4 * num_clips :])
    assert task.queue.video_index[: 4 * num_clips].tolist() == [v for v in range(10, 14) for _ in range(num_clips)]
    assert task.queue.pointer == 4 * num_clips


@pytest.mark.parametrize("name", ["rspnet", "appearance_instance", "moco"])
def test_the_keys_of_all_micro_batches_enter_the_queue_in_their_order(name: str):
    """As if each had been a batch of its own with networks that stand still."""
    config = replace(CONFIGS[name], key_momentum=1.0)
    batch, (task, one_by_one) = planned_batch(config), (build(config).eval() for _ in range(2))
    steps(task, batch.split(4), [context()])
    for part in batch.split(4):
        one_by_one(part, context())
        one_by_one.after_step()
    queue, expected = (each.get_submodule("queue").state_dict() for each in (task, one_by_one))
    for key, tensor in queue.items():
        torch.testing.assert_close(tensor, expected[key])
    num_keys_per_video = 2 if name == "moco" else 1
    assert queue["pointer"] == 8 * num_keys_per_video
    videos = queue["video_index"].tolist()[: queue["pointer"]]
    assert videos == [video for video in range(8) for _ in range(num_keys_per_video)]
    # Nothing is left over for the next step: its 8 or 16 keys go on where these ended, round the 24 places.
    steps(task, [batch], [context(1)])
    assert task.get_submodule("queue").state_dict()["pointer"] == 16 * num_keys_per_video % 24


def momentum_of_a_step(task: MoCo, batch: PretextBatch, step: int, num_steps: int = 10) -> float:
    """By how much of the way a key parameter stays behind one that has jumped by 1."""
    parameter, key = task.head.get_parameter("layers.0.bias"), task.key_head.get_parameter("network.layers.0.bias")
    parameter.data.copy_(key + 1)
    task(batch, context(step, num_steps))
    before = key.clone()
    task.after_step()
    return 1 - (key - before).mean().item()


def test_the_key_network_slows_down_to_a_halt():
    """m0 at the first step, half way to 1 in the middle, 1 at the end: a cosine of the step."""
    task, batch = built(key_momentum=0.6), planned_batch(CONFIGS["moco"])
    found = [momentum_of_a_step(task, batch, step) for step in (0, 2, 5, 10)]
    assert found == pytest.approx([0.6, 1 - 0.4 * (0.8090170 + 1) / 2, 0.8, 1.0], abs=1e-5)


def test_a_constant_momentum_is_a_setting():
    """And that of the plain queue tasks."""
    task, batch = built(key_momentum=0.6, anneals_key_momentum=False), planned_batch(CONFIGS["moco"])
    assert [momentum_of_a_step(task, batch, step) for step in (0, 5, 10)] == pytest.approx([0.6] * 3, abs=1e-5)


def test_both_key_networks_follow():
    """Encoder and head, every parameter, by 1 - momentum; before any step they are equal."""
    task = built(key_momentum=0.75)
    pairs, expected = ((task.encoder, task.key_encoder), (task.head, task.key_head)), []
    for source, copy in pairs:
        for parameter, key in zip(source.parameters(), copy.parameters(), strict=True):
            assert torch.equal(parameter, key)
            parameter.data.add_(1.0)
            expected.append(key + 0.25)
    task(planned_batch(CONFIGS["moco"]), context(0))
    task.after_step()
    for key, value in zip((key for _, copy in pairs for key in copy.parameters()), expected, strict=True):
        torch.testing.assert_close(key, value)


def test_a_validation_between_forward_and_step_changes_neither():
    """Neither what is enqueued nor the momentum, which is that of the training step."""
    batch, validation = planned_batch(CONFIGS["moco"]), planned_batch(CONFIGS["moco"], range(20, 26))
    task, looking = (built(key_momentum=0.6) for _ in range(2))
    for each in (task, looking):
        each.head.get_parameter("layers.0.bias").data.add_(1.0)
        each(batch, context(0, 10))
        if each is looking:
            with torch.no_grad():
                each.eval()(validation, context(9, 10))
        each.after_step()
    for key, tensor in task.state_dict().items():
        assert torch.equal(tensor, looking.state_dict()[key]), key


def test_heads_and_settings_are_the_studys():
    """Two hidden layers without batch norm; queue 65,536, temperature 0.1, momentum 0.994 annealed."""
    assert [type(layer).__name__ for layer in built().head.layers] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    config = MoCoConfig()
    assert (config.queue_size, config.temperature, config.key_momentum) == (65536, 0.1, 0.994)
    assert config.anneals_key_momentum
