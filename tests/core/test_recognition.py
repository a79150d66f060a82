"""The classifier on an encoder: what it learns, and what a protocol leaves as it came."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.encoders.video_encoder import pool
from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.task import PretextBatch, StepContext
from rspnet_core.recognition.recognition import Recognition
from rspnet_core.recognition.recognition_config import RecognitionConfig
from rspnet_core.schedules import ScheduleConfig
from rspnet_core.train_step import StepReport, train_step

CONFIG = RecognitionConfig(encoder="tiny", num_classes=4)
SGD = OptimizerConfig(learning_rate=0.05, base_batch_size=None, momentum=0.9, schedule=ScheduleConfig(kind="constant"))
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def make_batch(num_videos: int = 8) -> PretextBatch:
    generator = torch.Generator().manual_seed(0)
    return PretextBatch(
        clips=torch.randn(num_videos, 1, 3, 4, 16, 16, generator=generator),
        playback_speeds=torch.ones(num_videos, 1),
        labels=torch.arange(num_videos)[:, None] % 4,
        video_index=torch.arange(num_videos),
    )


def build(config: RecognitionConfig) -> Recognition:
    """The same weights at each call, and statistics of batch norm that no training begins with."""
    torch.manual_seed(0)
    task = Recognition(config)
    for name, buffer in task.encoder.named_buffers():
        if name.endswith("running_mean"):
            buffer.fill_(0.1)
    return task


def trained(
    config: RecognitionConfig, num_steps: int = 3, optimizer: OptimizerConfig = SGD
) -> tuple[Recognition, list[StepReport]]:
    task = build(config)
    built = build_optimizer(task, optimizer, 8, task.learning_rate_factors())
    reports = [
        train_step(
            task=task,
            optimizer=built,
            config=optimizer,
            global_batch_size=8,
            micro_batches=[make_batch()],
            context=StepContext(step=step, num_steps=num_steps),
        )
        for step in range(num_steps)
    ]
    return task, reports


def changed(config: RecognitionConfig) -> dict[str, bool]:
    """Over three steps: whether any statistic, any other tensor of the encoder, and the classifier is other than it
    was."""
    before, after = build(config).state_dict(), trained(config)[0].state_dict()
    found = {"statistics": False, "encoder": False, "classifier": False}
    for name, tensor in after.items():
        part = name.split(".")[0]
        found["statistics" if name.endswith(STATISTICS) else part] |= not torch.equal(tensor, before[name])
    return found


def test_a_handful_of_videos_is_learnt_by_heart():
    """Eight clips of noise in four classes: from chance to all of them right."""
    _, reports = trained(CONFIG, num_steps=40)
    assert reports[0].loss == pytest.approx(1.39, abs=0.5)  # ln 4
    assert reports[0].metrics["recognition/accuracy"] < 0.8
    assert reports[-1].metrics["recognition/accuracy"] == 1.0
    assert reports[-1].loss < 0.1


@pytest.mark.parametrize(
    ("trainable", "batch_norm", "statistics", "encoder"),
    [
        ("everything", "running", True, True),
        ("everything", "frozen", False, True),
        ("classifier", "running", True, False),
        ("classifier", "frozen", False, False),
    ],
)
def test_what_a_protocol_freezes_stays_bit_for_bit(trainable: Any, batch_norm: Any, statistics: bool, encoder: bool):
    """Weights by `trainable`, statistics of batch norm by `batch_norm`; weight decay too spares what is frozen."""
    config = replace(CONFIG, trainable=trainable, batch_norm=batch_norm)
    assert changed(config) == {"statistics": statistics, "encoder": encoder, "classifier": True}


def test_a_frozen_encoder_is_none_of_the_optimizers_business():
    """Its parameters ask for no gradient, so that workers do not wait for one from each other."""
    task = build(replace(CONFIG, trainable="classifier"))
    groups = build_optimizer(task, SGD, 8, task.learning_rate_factors()).param_groups
    assert [len(group["params"]) for group in groups] == [2]
    assert not any(parameter.requires_grad for parameter in task.encoder.parameters())


def test_frozen_batch_norm_still_learns_its_scales():
    """They are weights; what is frozen are the statistics."""
    config = replace(CONFIG, batch_norm="frozen")
    before, after = build(config).encoder.state_dict(), trained(config)[0].encoder.state_dict()
    assert not torch.equal(before["blocks.0.1.weight"], after["blocks.0.1.weight"])


def test_frozen_batch_norm_uses_the_statistics_that_came():
    """A training step's loss is that of an encoder in evaluation mode; with running ones it is not."""
    batch = make_batch()

    def loss(batch_norm: Any) -> Tensor:
        return build(replace(CONFIG, batch_norm=batch_norm))(batch, StepContext(step=0, num_steps=1)).loss

    task = build(CONFIG).eval()
    expected = F.cross_entropy(task.classifier(pool(task.encoder(batch.clips[:, 0]))), batch.labels[:, 0])
    assert torch.equal(loss("frozen"), expected)
    assert not torch.equal(loss("running"), expected)


def test_modes_survive_an_evaluation():
    """Back in training mode each layer is in the mode that the protocol asks of it."""
    task = Recognition(replace(CONFIG, trainable="classifier", batch_norm="frozen", dropout=0.5))
    task.eval().train()
    assert task.dropout.training
    assert not any(layer.training for layer in task.encoder.modules())
    task = Recognition(replace(CONFIG, batch_norm="frozen")).eval().train()
    modes = {type(layer).__name__: layer.training for layer in task.encoder.modules()}
    assert (modes["Conv3d"], modes["BatchNorm3d"]) == (True, False)


def test_the_encoders_rate_is_the_classifiers_times_a_factor():
    """The first step of SGD moves the encoder a tenth as far, and the classifier as before; the rate reported is the
    schedule's."""
    plain = replace(SGD, momentum=0.0, weight_decay=0.0, learning_rate=0.1)
    start = build(CONFIG).state_dict()
    whole, slow = (trained(replace(CONFIG, encoder_learning_rate_factor=factor), 1, plain) for factor in (1.0, 0.1))
    assert whole[1][0].learning_rate == slow[1][0].learning_rate == 0.1
    for name, _ in whole[0].named_parameters():
        moves = [task.state_dict()[name] - start[name] for task in (whole[0], slow[0])]
        factor = 0.1 if name.startswith("encoder.") else 1.0
        assert moves[0].abs().max() > 0
        torch.testing.assert_close(moves[1], factor * moves[0], rtol=1e-3, atol=1e-7)


def test_rates_without_decay_of_norms_have_their_factors_too():
    """Four groups: encoder and classifier, each with and without decay."""
    task = build(replace(CONFIG, encoder_learning_rate_factor=0.1))
    config = replace(SGD, decay_norms_and_biases=False)
    groups = build_optimizer(task, config, 8, task.learning_rate_factors()).param_groups
    found = [(group.get("learning_rate_factor", 1), group["weight_decay"], len(group["params"])) for group in groups]
    assert found == [(0.1, 1e-4, 4), (0.1, 0.0, 8), (1, 1e-4, 1), (1, 0.0, 1)]


def test_dropout_is_for_training_alone():
    """With it a step's loss depends on what is drawn; the scores of a video never do."""
    task, batch = build(replace(CONFIG, dropout=0.9)), make_batch()
    torch.manual_seed(1)
    losses = {task(batch, StepContext(step=0, num_steps=1)).loss.item() for _ in range(3)}
    assert len(losses) == 3
    task.eval()
    assert torch.equal(task.probabilities(batch.clips[:, 0]), task.probabilities(batch.clips[:, 0]))


def test_probabilities_are_the_softmax_of_the_classifier():
    """Against the formula, clip by clip."""
    task, clips = build(CONFIG).eval(), make_batch().clips[:, 0]
    for clip, found in zip(clips, task.probabilities(clips), strict=True):
        feature = task.encoder(clip[None]).mean(dim=(2, 3, 4))[0]
        powers = (task.classifier.weight @ feature + task.classifier.bias).exp()
        torch.testing.assert_close(found, powers / powers.sum())


def test_the_number_of_classes_must_be_known():
    """The config may leave it open; a network cannot."""
    with pytest.raises(ValueError, match="num_classes is None; accepted here is a number"):
        Recognition(replace(CONFIG, num_classes=None))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_classes": 1}, "num_classes is 1; accepted are 2 or more"),
        ({"dropout": 1.0}, "dropout is 1.0; accepted are 0 to below 1"),
        ({"encoder_learning_rate_factor": 0.0}, "encoder_learning_rate_factor is 0.0; accepted are numbers above 0"),
        ({"trainable": "classifier", "encoder_learning_rate_factor": 0.1}, "accepted is 1: the encoder is not trained"),
    ],
)
def test_refused_choices_name_the_accepted_ones(values: dict[str, Any], message: str):
    """When the config is built."""
    with pytest.raises(ValueError, match=message):
        RecognitionConfig(**values)
