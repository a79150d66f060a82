import dataclasses
from copy import deepcopy

import torch
from torch.optim import Optimizer

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.optimizers import build_optimizer
from rspnet_core.pretext.rspnet import RSPNet
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.task import PretextBatch, StepContext
from rspnet_core.train_step import StepReport, train_step

TASK = RSPNetConfig(encoder="tiny", embedding_dim=16, queue_size=32)
SGD = OptimizerConfig(learning_rate=0.05, base_batch_size=8)


def gratings() -> PretextBatch:
    """Eight videos of their own colour; gratings move at one speed in two clips, at another in the third."""
    speeds = torch.tensor([[1.0, 1.0, 3.0], [3.0, 3.0, 1.0]]).repeat(4, 1)
    phases = 0.5 * torch.arange(4) * speeds[:, :, None] + 6 * torch.rand(8, 3, 1)
    waves = torch.sin(0.8 * torch.arange(16) - phases[..., None])[:, :, None, :, None]
    clips = torch.randn(8, 1, 3, 1, 1, 1) + waves.expand(8, 3, 3, 4, 16, 16)
    return PretextBatch(
        clips=clips, playback_speeds=speeds, labels=torch.zeros(8, 1).long(), video_index=torch.arange(8)
    )


def run_steps(task: RSPNet, optimizer: Optimizer, steps: range, batch: PretextBatch) -> list[StepReport]:
    return [
        train_step(
            task=task,
            optimizer=optimizer,
            config=SGD,
            global_batch_size=8,
            micro_batches=[batch],
            context=StepContext(step=step, num_steps=40),
        )
        for step in steps
    ]


def test_a_tiny_task_overfits_one_batch():
    """Towards keys that stand still, the loss falls to a third of what it was with a full queue, every pair is
    ranked right, and videos are told apart."""
    task = RSPNet(dataclasses.replace(TASK, queue_size=8, key_momentum=1.0))
    reports = run_steps(task, build_optimizer(task, SGD, global_batch_size=8), range(40), gratings())
    assert reports[-1].loss < reports[1].loss / 3
    assert reports[-1].metrics["speed_ranking/accuracy"] == 1
    assert reports[-1].metrics["instance/top1"] > 0.8
    assert reports[-1].metrics["feature_std"] > 0.1


def test_a_restored_task_goes_on_exactly():
    """State dicts of task and optimizer hold all that the next steps depend on."""
    batch, task, restored = gratings(), RSPNet(TASK), RSPNet(TASK)
    optimizer, restored_optimizer = (build_optimizer(each, SGD, global_batch_size=8) for each in (task, restored))
    run_steps(task, optimizer, range(3), batch)
    restored.load_state_dict(task.state_dict())
    # A copy, as a file would be: loading alone would share the momentum buffers.
    restored_optimizer.load_state_dict(deepcopy(optimizer.state_dict()))
    resumed = run_steps(restored, restored_optimizer, range(3, 6), batch)
    assert resumed == run_steps(task, optimizer, range(3, 6), batch)
