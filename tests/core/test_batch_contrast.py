"""CVRL and rho-SimCLR: the clips of a video find each other among all of the batch."""

from dataclasses import replace
from itertools import pairwise
from math import exp, log

import pytest
import torch

from rspnet_core.pretext.batch_contrast import BatchContrast
from rspnet_core.pretext.cvrl_config import CVRLConfig
from rspnet_core.pretext.simclr_config import SimCLRConfig
from rspnet_core.pretext.task import PretextBatch
from tests.core.tiny_tasks import ALL, CONFIGS, build, context, planned_batch

FACTORS = {"cvrl": 2.0, "simclr": 1.0, "simclr, three clips": 1.0}
"""CVRL's published code adds the two directions; SimCLR takes the mean over all anchors."""


def built(config) -> BatchContrast:
    task = build(config)
    assert isinstance(task, BatchContrast)
    return task


def slow_embeddings(task: BatchContrast, batch: PretextBatch) -> list[list[list[float]]]:
    """[place][video], unit vectors, one clip at a time; the task must be in eval mode."""
    result = []
    for place in range(batch.clips.shape[1]):
        vectors = [task.head(task.encoder(clips[place][None]))[0] for clips in batch.clips]
        result.append([(vector / vector.norm()).tolist() for vector in vectors])
    return result


def slow_loss(task: BatchContrast, batch: PretextBatch) -> float:
    """The mean over anchors for each clip and the next, added up over these pairs."""
    total = 0.0
    for one, other in pairwise(slow_embeddings(task, batch)):
        clips = one + other
        for i, anchor in enumerate(clips):
            near = [exp(sum(x * y for x, y in zip(anchor, z, strict=True)) / task.config.temperature) for z in clips]
            positive = near[(i + len(one)) % len(clips)]
            total -= log(positive / (sum(near) - near[i])) / len(clips)
    return total


@pytest.mark.parametrize(("name", "factor"), FACTORS.items())
def test_the_loss_equals_the_equations(name: str, factor: float):
    """Every other clip of a pair's two places is a candidate: 2N - 1, one of them right."""
    task, batch = built(ALL[name]).eval(), planned_batch(ALL[name])
    with torch.no_grad():
        output = task(batch, context())
        expected = factor * slow_loss(task, batch)
    assert output.loss.item() == pytest.approx(expected, rel=1e-4)
    assert output.metrics["instance/loss"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["cvrl", "simclr"])
def test_identical_views_of_orthogonal_videos_by_hand(name: str):
    """CVRL: 2 log(1 + (2N - 2) exp(-1 / tau)); SimCLR: half of it. Every clip finds the other."""
    config = replace(CONFIGS[name], head="linear", temperature=0.5)
    task, batch = built(config).eval(), planned_batch(config)
    batch = replace(batch, clips=batch.clips[:, :1].expand(-1, 2, -1, -1, -1, -1))
    with torch.no_grad():
        features = task.encoder(batch.clips[:, 0]).mean(dim=(2, 3, 4))
        last = task.head.layers[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.copy_(torch.linalg.pinv(features.double()).T)
        last.bias.zero_()
        output = task(batch, context())
    assert output.loss.item() == pytest.approx(FACTORS[name] * log(1 + 14 * exp(-2)), rel=1e-4)
    assert output.metrics["instance/top1"] == 1


def test_heads_are_the_methods():
    """CVRL: three hidden layers with batch norm; the study's SimCLR: two without."""
    kinds = {name: [type(layer).__name__ for layer in built(CONFIGS[name]).head.layers] for name in ("cvrl", "simclr")}
    assert kinds["cvrl"] == ["Linear", "BatchNorm1d", "ReLU"] * 3 + ["Linear"]
    assert kinds["simclr"] == ["Linear", "ReLU"] * 2 + ["Linear"]


def test_batch_norm_sees_the_clips_of_both_places_together():
    """One call of encoder and head, as published: statistics do not tell the places apart."""
    task, batch, sizes = built(CONFIGS["cvrl"]), planned_batch(CONFIGS["cvrl"]), []
    for network in (task.encoder, task.head):
        network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    task(batch, context())
    assert sizes == [16, 16]


def test_published_settings():
    """Temperatures, embeddings, synchronised batch norm; CVRL's second view alone is solarised, its first always
    blurred."""
    for config in (CVRLConfig(), SimCLRConfig()):
        assert (config.temperature, config.embedding_dim, config.sync_batch_norm) == (0.1, 128, True)
    first, second = CVRLConfig().views
    assert (first.blur_probability, first.solarise_probability) == (1.0, 0.0)
    assert (second.blur_probability, second.solarise_probability) == (0.1, 0.2)
    assert replace(second, blur_probability=1.0, solarise_probability=0.0) == first
