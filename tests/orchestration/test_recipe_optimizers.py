"""What each recipe's optimizer decays, beside what its source does."""

import pytest
import torch
from rspnet_platform.train.training_state import build_task
from torch import nn

from jobs.recipes import RECIPES
from rspnet_core.optimizers import build_optimizer

DECAYED = {
    "rspnet_r3d18": True,
    "rspnet_c3d": True,
    "rspnet_r2plus1d": True,
    "rspnet_s3dg": True,
    "relative_speed_r3d18": True,
    "appearance_instance_r3d18": True,
    "cvrl_r3d50": False,
    "moco_slow_r50": False,
    "simclr_slow_r50": False,
    "pace_c3d": True,
    "pace_s3dg": True,
    "speednet_s3dg": True,
    "clip_order_r3d": True,
    "video_cloze_r3d18": True,
    "frame_order_slow_r50": True,
}
"""Batch norm, as in the published code; SpeedNet's optimizer, without any, is ours."""


def test_every_recipe_of_a_paper_is_here() -> None:
    """The tiny ones are nobody's."""
    assert {name for name in RECIPES if not name.startswith("tiny")} == set(DECAYED)


@pytest.mark.parametrize("recipe", DECAYED)
def test_batch_norm_is_decayed_where_the_source_does(recipe: str) -> None:
    """Kernels always are."""
    config = RECIPES[recipe]()
    with torch.device("meta"):
        task = build_task(config)
    groups = build_optimizer(task, config.optimizer, config.training.global_batch_size).param_groups
    decay_of = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    norms = [each for each in task.encoder.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert {decay_of[norm.weight] > 0 for norm in norms} == {DECAYED[recipe]}
    kernels = [each.weight for each in task.encoder.modules() if isinstance(each, nn.Conv3d)]
    assert all(decay_of[kernel] == config.optimizer.weight_decay > 0 for kernel in kernels)
