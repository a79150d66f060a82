"""RSPNet's checkpoints as its training code saves them: files of a few dozen MB, loaded as a user names them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rspnet_platform.inference.model_reference import load_model

from rspnet_core.encoders.published_keys import to_published
from tests.core import published_networks as published

SHAPES = {
    "s3dg_rspnet": published.s3dg_shapes(),
    "r2plus1d_10": published.clip_order_shapes(published.factorised_shapes),
}


def pretraining_file(query: published.Checkpoint, *, classifier: str, head: str, is_parallel: bool) -> dict[str, Any]:
    """Both encoders with their unused classifier, two heads on each, the queue; the optimizer's and scheduler's state;
    numbers as Python's and NumPy's."""
    heads = [f"{fc}.{head}" for fc in ("fc1", "fc2")]
    dim = next(reversed([tensor.shape[0] for tensor in query.values() if tensor.ndim == 5]))
    model: dict[str, torch.Tensor] = {}
    for side, encoder in (("encoder_q", query), ("encoder_k", {name: tensor + 1 for name, tensor in query.items()})):
        model |= {f"{side}.encoder.{name}": tensor for name, tensor in encoder.items()}
        model |= {f"{side}.encoder.{classifier}.{part}": torch.zeros(1) for part in ("weight", "bias")}
        model |= {f"{side}.{place}{part}": torch.zeros(128, dim) for place in heads for part in ("weight", "bias")}
    model |= {"queue": torch.zeros(128, 64), "queue_ptr": torch.zeros(1, dtype=torch.int64)}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(3))], lr=0.1, momentum=0.9)
    optimizer.param_groups[0]["params"][0].grad = torch.ones(3)
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
    return {
        "epoch": 200,
        "arch": "moco",
        "model": {f"module.{name}" if is_parallel else name: tensor for name, tensor in model.items()},
        "best_loss": np.float64(3.25),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
    }


@pytest.mark.parametrize(
    ("name", "classifier", "head", "is_parallel", "is_zip"),
    [
        ("s3dg_rspnet", "fc", "", False, True),
        ("s3dg_rspnet", "fc", "", True, False),
        ("r2plus1d_10", "linear", "2.", True, True),
    ],
)
def test_rspnets_own_file_loads_bit_for_bit(
    name: str, classifier: str, head: str, is_parallel: bool, is_zip: bool, tmp_path: Path
) -> None:
    """The query encoder, whether DistributedDataParallel was saved or what it wraps, with linear heads or others, in
    PyTorch's present format and in the one before 1.6."""
    query = published.random_checkpoint(SHAPES[name])
    content = pretraining_file(query, classifier=classifier, head=head, is_parallel=is_parallel)
    path = tmp_path / "model_best.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    model = load_model(f"published:{name}:{path}", "sqlite:///nothing-is-asked-of-it.db")
    returned = to_published(name, model.encoder.state_dict())
    assert returned.keys() == query.keys()
    assert all(torch.equal(returned[key], tensor) for key, tensor in query.items())
    assert (model.card.method, model.card.input.pooling) == ("published", "average")


def test_a_finetuned_file_loads_bit_for_bit(tmp_path: Path) -> None:
    """The published fine-tuning saves its encoder beside a new linear layer, both below DistributedDataParallel."""
    encoder = published.random_checkpoint(SHAPES["r2plus1d_10"])
    model = {f"module.encoder.{name}": tensor for name, tensor in encoder.items()}
    model |= {"module.encoder.linear.weight": torch.zeros(1), "module.fc.weight": torch.zeros(101, 512)}
    torch.save(
        {"epoch": 30, "arch": "r2plus1d", "model": model, "best_acc1": torch.tensor(76.5)}, tmp_path / "best.pth"
    )
    loaded = load_model(f"published:r2plus1d_10:{tmp_path}/best.pth", "sqlite:///nothing-is-asked-of-it.db")
    returned = to_published("r2plus1d_10", loaded.encoder.state_dict())
    assert all(torch.equal(returned[key], tensor) for key, tensor in encoder.items())
