"""Each line of `PRETEXT_TASKS` leads to a task that runs on what its own sampler plans."""

import subprocess
import sys
from math import isfinite
from pkgutil import resolve_name

import pytest
import torch

from rspnet_core.pretext import PRETEXT_TASKS
from rspnet_core.pretext.task import PretextTask
from rspnet_core.sampling.clip_plan import ClipSampler
from tests.core.tiny_tasks import CONFIGS, build, context, planned_batch, steps


def config_module(name: str) -> str:
    return PRETEXT_TASKS[name].split(":")[0] + "_config"


def config_path(name: str) -> str:
    """By the house's rule: `moco:MoCo` has `moco_config:MoCoConfig`."""
    return f"{config_module(name)}:{PRETEXT_TASKS[name].split(':')[1]}Config"


@pytest.mark.parametrize("name", PRETEXT_TASKS)
def test_a_config_names_its_task_and_can_be_built_from_defaults(name: str):
    """The name in a config is the key that leads back to its task; the published settings are no contradiction."""
    config = resolve_name(config_path(name))()
    assert config.task_name == name
    assert isinstance(config.clips, ClipSampler)
    assert all(view.crop_size == config.view.crop_size for view in config.views)


@pytest.mark.parametrize("name", PRETEXT_TASKS)
def test_a_task_takes_a_step_on_what_its_sampler_plans(name: str):
    """A finite loss, metrics under two-part names, and an encoder and heads that have moved."""
    assert type(CONFIGS[name]) is resolve_name(config_path(name))
    task = build(CONFIGS[name])
    assert isinstance(task, PretextTask)
    trained = {key: value.detach().clone() for key, value in task.named_parameters() if value.requires_grad}
    [report] = steps(task, [planned_batch(CONFIGS[name])], [context()])
    assert isfinite(report.loss)
    assert all(isfinite(value) for value in report.metrics.values())
    assert {"feature_std"} < set(report.metrics)
    assert all("/" in metric for metric in set(report.metrics) - {"feature_std"})
    assert not [key for key, value in task.named_parameters() if key in trained and torch.equal(value, trained[key])]


def test_no_config_imports_torch():
    """`--help` reads all of them."""
    modules = ", ".join(config_module(name) for name in PRETEXT_TASKS)
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
