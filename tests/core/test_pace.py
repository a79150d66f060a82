from dataclasses import replace
from math import exp, log

import pytest
import torch

from rspnet_core.pretext.pace import Pace
from rspnet_core.pretext.task import PretextBatch
from rspnet_core.sampling.paces import PaceSampler
from tests.core.tiny_tasks import ALL, build, context, planned_batch

PLAIN, CONTRAST = ALL["pace"], ALL["pace, contrast"]


def built(config) -> Pace:
    task = build(config)
    assert isinstance(task, Pace)
    return task


def slow_losses(task: Pace, batch: PretextBatch) -> tuple[float, float, float]:
    """(classification, its accuracy, contrast), one clip at a time; the task must be in eval mode."""
    losses, hits, embeddings = [], [], []
    for clips, labels in zip(batch.clips, batch.labels.tolist(), strict=True):
        for clip, label in zip(clips, labels, strict=True):
            feature = task.encoder(clip[None])[0].mean(dim=(1, 2, 3))
            logits = (task.classifier.weight @ feature + task.classifier.bias).tolist()
            losses.append(log(sum(exp(x) for x in logits)) - logits[label])
            hits.append(logits[label] == max(logits))
            if task.config.contrast_weight > 0:
                embedding = task.head.weight @ feature + task.head.bias
                embeddings.append((embedding / embedding.norm()).tolist())
    contrasts = []
    for i, anchor in enumerate(embeddings):
        near = [
            exp(sum(x * y for x, y in zip(anchor, other, strict=True)) / task.config.temperature)
            for other in embeddings
        ]
        positive = i + 1 if i % 2 == 0 else i - 1  # Clips of one video are neighbours.
        contrasts.append(-log(near[positive] / (sum(near) - near[i])))
    return sum(losses) / len(losses), sum(hits) / len(hits), sum(contrasts) / max(1, len(contrasts))


def test_the_loss_equals_the_equation():
    """Cross entropy of each clip's place in the list of paces."""
    task, batch = built(PLAIN).eval(), planned_batch(PLAIN, range(12))
    assert len(set(batch.labels.flatten().tolist())) == 4
    with torch.no_grad():
        output = task(batch, context())
        loss, accuracy, _ = slow_losses(task, batch)
    assert output.loss.item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["pace/accuracy"].item() == pytest.approx(accuracy)


def test_the_contrastive_branch_is_added_with_its_weight():
    """Classification of both clips of a video, and NT-Xent between them over the batch."""
    task, batch = built(CONTRAST).eval(), planned_batch(CONTRAST)
    with torch.no_grad():
        output = task(batch, context())
        loss, accuracy, contrast = slow_losses(task, batch)
    assert output.loss.item() == pytest.approx(loss + 0.5 * contrast, rel=1e-4)
    assert output.metrics["pace/loss"].item() == pytest.approx(loss, rel=1e-4)
    assert output.metrics["pace/accuracy"].item() == pytest.approx(accuracy)
    assert output.metrics["instance/loss"].item() == pytest.approx(contrast, rel=1e-4)


@pytest.mark.parametrize("speeds", [(1, 2, 3, 4), (1, 4)])
def test_a_classifier_of_zeros_is_at_chance(speeds: tuple[int, ...]):
    """log of the number of paces."""
    config = replace(PLAIN, clips=PaceSampler(num_frames_per_clip=4, speeds=speeds))
    task = built(config)
    for parameter in task.classifier.parameters():
        torch.nn.init.zeros_(parameter)
    assert task(planned_batch(config), context()).loss.item() == pytest.approx(log(len(speeds)), rel=1e-6)


def test_without_the_contrastive_branch_there_is_no_head_for_it():
    """Nothing would train it."""
    assert not hasattr(built(PLAIN), "head")


def test_a_clip_of_its_own_is_no_contrast():
    """The contrastive branch needs two clips of a video."""
    with pytest.raises(ValueError, match=r"contrast_weight is 0.1 with clips.num_clips 1; accepted: 0, or two clips"):
        replace(PLAIN, contrast_weight=0.1)
    with pytest.raises(ValueError, match="contrast_weight is -1"):
        replace(PLAIN, contrast_weight=-1.0)
