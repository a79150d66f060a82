"""Checkpoints under published names, written down by hand, become our encoders and compute what they computed."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import video

from rspnet_core.encoders import ENCODERS, build_encoder
from rspnet_core.encoders.published_keys import from_published, to_published
from rspnet_core.encoders.published_layouts import LAYOUTS
from tests.core import published_networks as published


class Published(NamedTuple):
    shapes: Callable[[], published.Shapes]
    forward: Callable[[published.Checkpoint, Tensor], Tensor]


NETWORKS = {
    "c3d": Published(published.c3d_shapes, published.c3d),
    "r3d_18": Published(published.resnet18_shapes, published.resnet18),
    "r3d_10": Published(
        lambda: published.clip_order_shapes(published.dense_shapes), published.clip_order(published.dense)
    ),
    "r2plus1d_10": Published(
        lambda: published.clip_order_shapes(published.factorised_shapes), published.clip_order(published.factorised)
    ),
    "s3dg_rspnet": Published(published.s3dg_shapes, published.s3dg),
    "slow_r50": Published(published.slow_r50_shapes, published.slow_r50),
}
TORCHVISION = {
    "torchvision_r3d_18": video.r3d_18,
    "mc3_18": video.mc3_18,
    "r2plus1d_18": video.r2plus1d_18,
    "mvit_v1_b": video.mvit_v1_b,
    "mvit_v2_s": video.mvit_v2_s,
    "swin3d_t": video.swin3d_t,
    "swin3d_s": video.swin3d_s,
    "swin3d_b": video.swin3d_b,
}


def small_checkpoint(name: str) -> published.Checkpoint:
    """Right names and shapes, and hardly any memory."""
    return {key: torch.zeros(()).expand(shape) for key, shape in NETWORKS[name].shapes().items()}


def prefixed(checkpoint: published.Checkpoint, prefix: str) -> published.Checkpoint:
    return {prefix + key: tensor for key, tensor in checkpoint.items()}


def test_every_layout_is_tested():
    """Against a network written by hand or against torchvision's own."""
    assert set(LAYOUTS) == NETWORKS.keys() | TORCHVISION.keys()
    assert set(LAYOUTS) <= set(ENCODERS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_checkpoint_computes_the_same_here(name: str):
    """Random weights under published names: our encoder's map equals the published network's, so every tensor
    lands where it belongs and strides, pads, epsilons and gates agree. Back again, not a tensor has changed."""
    checkpoint = published.random_checkpoint(NETWORKS[name].shapes())
    encoder = build_encoder(name).eval()
    encoder.load_state_dict(from_published(name, checkpoint))
    clips = torch.randn(1, 3, 8, 33, 32)
    with torch.no_grad():
        expected = NETWORKS[name].forward(checkpoint, clips)
        torch.testing.assert_close(encoder(clips), expected, rtol=1e-3, atol=1e-4 * expected.abs().max().item())
    returned = to_published(name, encoder.state_dict())
    assert returned.keys() == checkpoint.keys()
    assert all(torch.equal(returned[key], tensor) for key, tensor in checkpoint.items())


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_names_and_shapes_are_ours(name: str):
    """Everything but the classifier is taken as it is."""
    with torch.device("meta"):
        checkpoint = TORCHVISION[name]().state_dict()
    ours = from_published(name, checkpoint)
    assert {key for key in checkpoint if key not in ours} == {
        key for key in checkpoint if key.startswith(("fc.", "head."))
    }
    assert to_published(name, ours).keys() == ours.keys()


@pytest.mark.parametrize("name", ["c3d", "r3d_18", "r2plus1d_10", "s3dg_rspnet"])
def test_of_rspnets_checkpoint_the_query_encoder_is_taken(name: str):
    """As its pretraining writes it: both encoders, an unused classifier in each, two heads, a queue."""
    encoder, classifier = small_checkpoint(name), "linear" if name in ("c3d", "r2plus1d_10") else "fc"
    query = {key: tensor + 1 for key, tensor in encoder.items()}
    checkpoint = prefixed(query, "encoder_q.encoder.") | prefixed(encoder, "encoder_k.encoder.")
    for side in ("encoder_q", "encoder_k"):
        heads = {f"{side}.{head}.2.{part}": torch.zeros(1) for head in ("fc1", "fc2") for part in ("weight", "bias")}
        checkpoint |= heads | {f"{side}.encoder.{classifier}.weight": torch.zeros(1)}
    checkpoint |= {"queue": torch.zeros(128, 8), "queue_ptr": torch.zeros(1)}
    ours = from_published(name, checkpoint)
    assert len(ours) == len(encoder)
    assert all((tensor == 1).all() for tensor in ours.values())
    back = to_published(name, ours, prefix="encoder_q.encoder.")
    assert back.keys() == prefixed(query, "encoder_q.encoder.").keys()


@pytest.mark.parametrize(
    ("name", "prefix", "others"),
    [
        ("r3d_18", "encoder.", ["encoder.fc.weight", "fc.weight"]),
        ("r3d_18", "module.", ["module.fc.weight", "module.fc.bias"]),
        ("r3d_18", "", ["fc.weight"]),
        ("c3d", "base_network.", ["fc7.weight", "fc8.bias"]),
        ("c3d", "module.base_network.", ["module.fc7.weight", "module.fc8.bias"]),
        ("r3d_10", "", ["linear.weight"]),
        ("r2plus1d_10", "base_network.", ["base_network.linear.weight", "fc8.bias"]),
        ("slow_r50", "", ["head.projection.weight"]),
        ("slow_r50", "backbone.", ["backbone.head.projection.0.weight", "backbone_hist.s1.pathway0_stem.bn.bias"]),
        ("slow_r50", "backbone.", ["ptr", "iter", "queue_x", "knn_mem.memory"]),
    ],
)
def test_classifiers_heads_and_queues_are_left_out(name: str, prefix: str, others: list[str]):
    """Fine-tuned, DataParallel's, clip order's, plain and MoCo's checkpoints."""
    checkpoint = small_checkpoint(name)
    ours = from_published(name, prefixed(checkpoint, prefix) | {key: torch.zeros(1) for key in others})
    assert len(ours) == len(checkpoint)


def test_what_is_missing_unexpected_or_of_another_shape_is_named():
    """All three in one error, the first three of each kind by name, and no state dict."""
    checkpoint = small_checkpoint("r3d_18")
    for block in (0, 1):
        del checkpoint[f"layer4.{block}.bn1.bias"], checkpoint[f"layer4.{block}.bn2.bias"]
    checkpoint["layer5.0.conv1.weight"] = torch.zeros(1)
    checkpoint["layer2.0.bn1.weight"] = torch.zeros(64)
    with pytest.raises(ValueError, match="encoder 'r3d_18'") as error:
        from_published("r3d_18", checkpoint)
    assert "4 missing (layer4.0.bn1.bias, layer4.0.bn2.bias, layer4.1.bn1.bias, ...)" in str(error.value)
    assert "1 unexpected (layer5.0.conv1.weight)" in str(error.value)
    assert "1 of another shape (layer2.0.bn1.weight of (64,) for (128,))" in str(error.value)


def test_another_networks_checkpoint_is_refused():
    """torchvision's R3D-18 is not 3D-ResNets'; the error says which first key would have done."""
    with pytest.raises(ValueError, match=r"holds stem\.0\.weight, .*accepted is one with any of .*'conv1\.weight'"):
        from_published("r3d_18", {"stem.0.weight": torch.zeros(1), "stem.1.bias": torch.zeros(1)})


def test_rspnets_weights_do_not_become_the_papers_network():
    """The shapes of `s3dg` agree, its stride does not: there is no layout for it, and the error lists those."""
    with pytest.raises(ValueError, match=r"fit encoder 's3dg'; accepted are c3d, .*s3dg_rspnet"):
        from_published("s3dg", small_checkpoint("s3dg_rspnet"))


def test_a_whole_file_is_refused_with_a_hint():
    """What `torch.load` returns for RSPNet's files is not yet the mapping."""
    with pytest.raises(ValueError, match=r"holds epoch, model; accepted .*'model'"):
        from_published("r3d_18", {"epoch": 200, "model": {}})
    with pytest.raises(ValueError, match="holds nothing"):
        from_published("r3d_18", {})


def test_counters_that_old_checkpoints_lack_become_zero_if_all_lack():
    """PyTorch before 0.4.1 wrote none; one missing among others is an error."""
    checkpoint = small_checkpoint("r3d_18")
    counters = [key for key in checkpoint if key.endswith("num_batches_tracked")]
    some = {key: tensor for key, tensor in checkpoint.items() if key != counters[0]}
    with pytest.raises(ValueError, match="1 missing"):
        from_published("r3d_18", some)
    old = {key: tensor for key, tensor in checkpoint.items() if key not in counters}
    ours = from_published("r3d_18", old)
    assert [ours[key].item() for key in ours if key.endswith("num_batches_tracked")] == [0] * len(counters) == [0] * 20


def test_an_encoder_of_another_kind_is_not_written_under_published_names():
    """`to_published` takes what is that encoder's and nothing else."""
    with pytest.raises(ValueError, match=r"missing .*unexpected"):
        to_published("r3d_18", nn.Linear(2, 2).state_dict())
