"""A task with its heads comes back out of a checkpoint, and what cannot is refused with a reason."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.checkpoints import CONFIG, TENSORS, checkpoint_config
from rspnet_platform.visualise.checkpoint_task import load_checkpoint_task, task_config

from jobs.recipes import RECIPES
from rspnet_core.pretext import PRETEXT_TASKS
from rspnet_core.pretext.rspnet import RSPNet
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from tests.task_checkpoint import write_checkpoint

SMALL = RSPNetConfig(encoder="tiny", embedding_dim=8, queue_size=24)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_tasks_config_survives_its_way_through_a_checkpoint(recipe: str):
    """Of every recipe: same class, same values, though JSON knows neither classes nor tuples."""
    config: PretrainConfig = RECIPES[recipe]()
    assert task_config(json.loads(json.dumps(checkpoint_config(config)))) == config.task


def test_a_task_comes_back_with_heads_queue_and_key_networks(tmp_path: Path):
    """All of it, not the encoder alone; torch's global generator stays where it was."""
    written = write_checkpoint(tmp_path / "checkpoint", SMALL)
    state = torch.get_rng_state()
    loaded = load_checkpoint_task(str(tmp_path / "checkpoint"))
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(loaded.task, RSPNet)
    assert (loaded.config, loaded.uri) == (SMALL, str(tmp_path / "checkpoint"))
    expected, found = written.state_dict(), loaded.task.state_dict()
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    "reference", ["models:/rspnet@champion", "random:tiny", "published:c3d:a.pth", "e.safetensors"]
)
def test_an_encoder_alone_is_refused(reference: str):
    """It has no heads, wherever it comes from."""
    with pytest.raises(ValueError, match=r"without the heads .* accepted is the folder of a run"):
        load_checkpoint_task(reference)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no such folder"):
        load_checkpoint_task(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match=r"neither a run's folder .* nor a checkpoint"):
        load_checkpoint_task(str(tmp_path))


def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path: Path):
    """Its config, one key of it, the name of its task, its tensors."""
    write_checkpoint(tmp_path / "key", SMALL, without="task.temperature")
    with pytest.raises(ValueError, match=r"lacks task\.temperature"):
        load_checkpoint_task(str(tmp_path / "key"))
    write_checkpoint(tmp_path / "name", SMALL, without="task.task_name")
    with pytest.raises(ValueError, match=f"task_name is None; accepted are {', '.join(PRETEXT_TASKS)}"):
        load_checkpoint_task(str(tmp_path / "name"))
    write_checkpoint(tmp_path / "config", SMALL)
    (tmp_path / "config" / CONFIG).unlink()
    with pytest.raises(ValueError, match="not complete"):
        load_checkpoint_task(str(tmp_path / "config"))


def test_weights_of_another_shape_are_refused(tmp_path: Path):
    write_checkpoint(tmp_path, SMALL, changes={"task.embedding_dim": 16})
    with pytest.raises(ValueError, match="does not fit its own config"):
        load_checkpoint_task(str(tmp_path))


class Trap:
    """Leaves a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_nothing_is_unpickled(tmp_path: Path):
    """A stranger's checkpoint must not run code here."""
    write_checkpoint(tmp_path / "checkpoint", SMALL)
    with (tmp_path / "checkpoint" / TENSORS).open("wb") as file:
        pickle.dump({"task": Trap(tmp_path / "sprung")}, file)
    with pytest.raises(ValueError, match="tensors"):
        load_checkpoint_task(str(tmp_path / "checkpoint"))
    assert not (tmp_path / "sprung").exists()
