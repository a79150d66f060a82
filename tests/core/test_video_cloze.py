from dataclasses import replace
from itertools import combinations
from math import exp, log

import numpy as np
import pytest
import torch
from torch import Tensor

from rspnet_core.pretext.task import PretextBatch
from rspnet_core.pretext.video_cloze import VideoCloze
from rspnet_core.sampling.clip_cloze import GRID_PERMUTATION, MIDDLE, OPERATIONS, ROTATION
from tests.core.tiny_tasks import CONFIGS, build, context, planned_batch

CONFIG = CONFIGS["video_cloze"]
KINDS = ["concatenated", "pairwise"]


def built(kind: str = "concatenated") -> VideoCloze:
    task = build(replace(CONFIG, classifier_kind=kind))
    assert isinstance(task, VideoCloze)
    return task


def batch_of_all_operations() -> PretextBatch:
    batch = planned_batch(CONFIG, range(40))
    assert set(batch.labels[:, 0].tolist()) == set(range(len(OPERATIONS)))
    return batch


def altered(clip: Tensor, operation: int, variant: int) -> Tensor:
    """What numpy makes of a middle clip: a turn, or the two rows of two tiles put together anew."""
    if operation == ROTATION:
        return torch.from_numpy(np.rot90(clip.numpy(), variant, axes=(2, 3)).copy())
    if operation == GRID_PERMUTATION:
        tiles = [tile for row in clip.chunk(2, dim=2) for tile in row.chunk(2, dim=3)]
        order = list(np.ndindex(4, 4, 4, 4))
        order = [each for each in order if len(set(each)) == 4][variant]
        rows = [torch.cat([tiles[order[i]], tiles[order[i + 1]]], dim=3) for i in (0, 2)]
        return torch.cat(rows, dim=2)
    return clip


def slow_loss_and_accuracy(task: VideoCloze, batch: PretextBatch) -> tuple[float, float]:
    """One clip, one video at a time; the task must be in eval mode."""
    loss, num_right = 0.0, 0
    for clips, (operation, variant) in zip(batch.clips, batch.labels.tolist(), strict=True):
        shown = [clips[0], altered(clips[MIDDLE], operation, variant), clips[2]]
        features = [task.encoder(clip[None])[0].mean(dim=(1, 2, 3)) for clip in shown]
        parameters = dict(task.classifier.named_parameters())
        joined = torch.cat(features)
        last = "1"
        if task.config.classifier_kind == "pairwise":
            weight, bias = parameters["of_pair.0.weight"], parameters["of_pair.0.bias"]
            pairs = [torch.relu(weight @ torch.cat(pair) + bias) for pair in combinations(features, 2)]
            joined, last = torch.cat(pairs), "of_all.1"
        logits = (parameters[f"{last}.weight"] @ joined + parameters[f"{last}.bias"]).tolist()
        loss += log(sum(exp(x) for x in logits)) - logits[operation]
        num_right += int(logits[operation] == max(logits))
    return loss / len(batch.labels), num_right / len(batch.labels)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_accuracy_equal_the_equations(kind: str):
    """Cross entropy of the operation, over the features of the outer clips and of the altered middle one."""
    task, batch = built(kind).eval(), batch_of_all_operations()
    with torch.no_grad():
        for parameter in task.classifier.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.2)
        output = task(batch, context())
        loss, accuracy = slow_loss_and_accuracy(task, batch)
    assert output.loss.item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["cloze/loss"].item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["cloze/accuracy"].item() == pytest.approx(accuracy)


@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_of_zeros_is_at_chance(kind: str):
    """log 5."""
    task = built(kind)
    for parameter in task.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    assert task(planned_batch(CONFIG), context()).loss.item() == pytest.approx(log(5), rel=1e-6)


def test_the_middle_clip_alone_is_moved_and_the_batch_is_left_as_it_was():
    """The encoder sees the outer clips as they came; the caller's clips can be used again."""
    task, batch = built(), batch_of_all_operations()
    before, given = batch.clips.clone(), []
    task.encoder.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    task(batch, context())
    seen = given[0].unflatten(0, batch.clips.shape[:2])
    assert torch.equal(batch.clips, before)
    assert torch.equal(seen[:, [0, 2]], before[:, [0, 2]])
    is_moved = [not torch.equal(*pair) for pair in zip(seen[:, MIDDLE], before[:, MIDDLE], strict=True)]
    assert is_moved == [operation in (ROTATION, GRID_PERMUTATION) for operation in batch.labels[:, 0].tolist()]
