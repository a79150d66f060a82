"""Clip order (VCOP) and frame order (OPN): which of n! or n!/2 orders."""

from dataclasses import replace
from itertools import combinations
from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor

from rspnet_core.pretext.clip_order import ClipOrder
from rspnet_core.pretext.frame_order import FrameOrder, shift_pictures, take_channels
from rspnet_core.pretext.task import PretextBatch
from tests.core.tiny_tasks import CONFIGS, build, context, planned_batch

NUM_CLASSES = {"clip_order": 6, "frame_order": 12}


def built(name: str, **changes) -> ClipOrder | FrameOrder:
    task = build(replace(CONFIGS[name], **changes))
    assert isinstance(task, ClipOrder | FrameOrder)
    return task


def slow_loss_and_accuracy(task: ClipOrder | FrameOrder, batch: PretextBatch) -> tuple[float, float]:
    """One clip, one pair, one video at a time; the task must be in eval mode."""
    parameters = dict(task.classifier.named_parameters())
    pair_weight, pair_bias = parameters["of_pair.0.weight"], parameters["of_pair.0.bias"]
    weight, bias = parameters["of_all.1.weight"], parameters["of_all.1.bias"]
    loss, num_right = 0.0, 0
    for clips, [label] in zip(batch.clips, batch.labels.tolist(), strict=True):
        features = [task.encoder(clip[None])[0].mean(dim=(1, 2, 3)) for clip in clips]
        hidden = [
            torch.relu(pair_weight @ torch.cat((one, other)) + pair_bias) for one, other in combinations(features, 2)
        ]
        logits = (weight @ torch.cat(hidden) + bias).tolist()
        loss += log(sum(exp(x) for x in logits)) - logits[label]
        num_right += int(logits[label] == max(logits))
    return loss / len(batch.labels), num_right / len(batch.labels)


@pytest.mark.parametrize("name", NUM_CLASSES)
def test_loss_and_accuracy_equal_the_equations(name: str):
    """Cross entropy of the order's number over pairs of pooled features, in the order that the clips are shown in."""
    task, batch = built(name).eval(), planned_batch(CONFIGS[name])
    with torch.no_grad():
        torch.nn.init.normal_(task.classifier.get_parameter("of_all.1.weight"))
        output = task(batch, context())
        loss, accuracy = slow_loss_and_accuracy(task, batch)
    assert output.loss.item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["order/loss"].item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["order/accuracy"].item() == pytest.approx(accuracy)


@pytest.mark.parametrize(("name", "num_classes"), NUM_CLASSES.items())
def test_a_classifier_of_zeros_is_at_chance(name: str, num_classes: int):
    """log of the number of classes."""
    task = built(name)
    for parameter in task.classifier.of_all.parameters():
        torch.nn.init.zeros_(parameter)
    assert task(planned_batch(CONFIGS[name]), context()).loss.item() == pytest.approx(log(num_classes), rel=1e-6)


@pytest.mark.parametrize("name", NUM_CLASSES)
def test_dropout_and_width_are_the_configs(name: str):
    """A share of a quarter, pairs of 24."""
    task = built(name, dropout=0.25, pair_dim=24)
    assert task.classifier.of_all[0].p == 0.25
    assert task.classifier.of_pair[0].out_features == 24


@pytest.mark.parametrize("name", NUM_CLASSES)
@pytest.mark.parametrize("wrong", [{"dropout": 1.0}, {"dropout": -0.1}, {"pair_dim": 0}])
def test_wrong_values_are_refused_by_name(name: str, wrong: dict):
    """The error names the field."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(CONFIGS[name], **wrong)


def test_shifted_pictures_equal_a_loop():
    """Down and right by as many pixels; the edge is repeated where nothing comes in. Each clip by itself."""
    clips = torch.randn(2, 3, 3, 2, 5, 6)
    shifts = torch.tensor([[[0, 0], [1, 2], [-2, 1]], [[4, -5], [-1, 0], [0, 3]]])
    result = shift_pictures(clips, shifts)
    for place in np.ndindex(*clips.shape):
        video, clip, channel, frame, row, column = place
        down, right = shifts[video, clip].tolist()
        source = clips[video, clip, channel, frame, min(max(row - down, 0), 4), min(max(column - right, 0), 5)]
        assert result[place] == source


def test_taken_channels_equal_a_loop():
    """All three channels of a clip show the one that was drawn for it."""
    clips, channels = torch.randn(2, 3, 3, 2, 4, 4), torch.tensor([[0, 1, 2], [2, 2, 0]])
    result = take_channels(clips, channels)
    for video, clip, channel in np.ndindex(2, 3, 3):
        assert torch.equal(result[video, clip, channel], clips[video, clip, channels[video, clip]])


def seen(task: ClipOrder | FrameOrder, batch: PretextBatch, **where) -> Tensor:
    """The clips that the encoder is given."""
    given = []
    handle = task.encoder.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    task(batch, context(**where))
    handle.remove()
    return given[0].unflatten(0, batch.clips.shape[:2])


def test_frames_are_disguised_by_a_channel_and_a_shift_of_each():
    """Every frame is one of the 3 x 11 x 11 disguises of its own; all channels, and both ends of shifts, occur."""
    batch = planned_batch(CONFIGS["frame_order"], range(64))
    result = seen(built("frame_order"), batch)
    channels, shifts = set(), set()
    for original, disguised in zip(batch.clips.flatten(0, 1), result.flatten(0, 1), strict=True):
        assert torch.equal(disguised[0], disguised[1])
        assert torch.equal(disguised[0], disguised[2])
        # Pixel (8, 8) is never at an edge: its value tells where it came from.
        [found] = (original[:, 0, 3:14, 3:14] == disguised[0, 0, 8, 8]).nonzero().tolist()
        channels.add(found[0])
        shifts |= {5 - found[1], 5 - found[2]}
        assert torch.equal(
            disguised[:1],
            shift_pictures(original[None, None, found[:1]], torch.tensor([[[5 - n for n in found[1:]]]]))[0, 0],
        )
    assert channels == {0, 1, 2}
    assert shifts == set(range(-5, 6))


def test_disguises_depend_on_seed_step_and_video_alone():
    """Not on the company in the batch or the place in it, nor on what else has been drawn; not the same for all."""
    task, batch = built("frame_order"), planned_batch(CONFIGS["frame_order"])
    whole = seen(task, batch, seed=3, step=7)
    torch.rand(5)
    parts = [seen(task, part, seed=3, step=7) for part in batch.split(4)[::-1]]
    assert torch.equal(torch.cat(parts[::-1]), whole)
    assert not torch.equal(seen(task, batch, seed=3, step=8), whole)
    assert not torch.equal(seen(task, batch, seed=4, step=7), whole)
    same_pictures = replace(batch, clips=batch.clips[:1].expand(8, -1, -1, -1, -1, -1))
    disguised = seen(task, same_pictures)
    assert len({tuple(each.flatten().tolist()) for each in disguised}) == 8


def test_disguises_are_of_training_and_can_be_switched_off():
    """In eval mode frames are shown as they are; without channel splitting and shifts always."""
    batch = planned_batch(CONFIGS["frame_order"])
    assert torch.equal(seen(built("frame_order").eval(), batch), batch.clips)
    assert torch.equal(seen(built("frame_order", splits_channels=False, max_shift_pixels=0), batch), batch.clips)
    shifted = seen(built("frame_order", splits_channels=False), batch)
    assert (shifted[:, :, 0] - shifted[:, :, 1]).abs().max() > 0.1
    assert not torch.equal(shifted, batch.clips)
