import pytest
import torch
from torch import nn

from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.s3dg import Gate


def map_with_other_frames(name: str, frames: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """The map of a clip of 16 frames, and of the same with `frames` replaced."""
    encoder = build_encoder(name).eval()
    clip = torch.randn(1, 3, 16, 32, 32)
    other = clip.clone()
    other[:, :, frames] = torch.randn_like(other[:, :, frames])
    with torch.no_grad():
        return encoder(clip), encoder(other)


@pytest.mark.parametrize("name", ["s3dg", "s3dg_full_time", "s3dg_rspnet"])
def test_frames_have_an_effect_wherever_the_network_looks(name: str):
    """Even frames count in all; odd ones count too, except in RSPNet's published code, to the bit."""
    plain, other = map_with_other_frames(name, slice(0, None, 2))
    assert not torch.equal(plain, other)
    plain, other = map_with_other_frames(name, slice(1, None, 2))
    assert torch.equal(plain, other) == (name == "s3dg_rspnet")


@pytest.mark.parametrize(
    ("name", "spatial", "temporal"),
    [
        ("s3dg", (1, 2, 2), (2, 1, 1)),
        ("s3dg_full_time", (1, 2, 2), (1, 1, 1)),
        ("s3dg_rspnet", (2, 2, 2), (1, 1, 1)),
    ],
)
def test_the_stem_strides_where_it_says(name: str, spatial: tuple[int, int, int], temporal: tuple[int, int, int]):
    """1 x 7 x 7, then 7 x 1 x 1."""
    encoder = build_encoder(name)
    first, second = (encoder.get_submodule(f"layers.conv1.{part}.0") for part in ("spatial", "temporal"))
    assert isinstance(first, nn.Conv3d)
    assert isinstance(second, nn.Conv3d)
    assert (first.kernel_size, first.stride) == ((1, 7, 7), spatial)
    assert (second.kernel_size, second.stride) == ((7, 1, 1), temporal)


def test_without_temporal_strides_every_frame_has_a_place():
    """SpeedNet's network: T frames give a map of T, also where T is odd; and nothing strides over time."""
    encoder = build_encoder("s3dg_full_time").eval()
    with torch.no_grad():
        assert encoder(torch.randn(1, 3, 7, 32, 32)).shape[2] == 7
    layers = [module for module in encoder.modules() if isinstance(module, nn.Conv3d | nn.MaxPool3d)]
    strides = [(module.stride,) * 3 if isinstance(module.stride, int) else module.stride for module in layers]
    assert {stride[0] for stride in strides} == {1}


def test_a_gate_weighs_channels_by_the_clips_mean():
    """By hand: means 1 and 3; W = [[2, 0], [1, -1]], b = [-2, 0.5]; sigmoid of 0 and of -1.5."""
    gate = Gate(2)
    with torch.no_grad():
        gate.excitation.weight.copy_(torch.tensor([[2.0, 0.0], [1.0, -1.0]])[..., None, None, None])
        gate.get_parameter("excitation.bias").copy_(torch.tensor([-2.0, 0.5]))
        maps = torch.tensor([[0.0, 2.0], [3.0, 3.0]]).reshape(1, 2, 2, 1, 1)
        gated = gate(maps).flatten().tolist()
    assert gated == pytest.approx([0, 1, 3 * 0.18242552, 3 * 0.18242552])


@pytest.mark.parametrize("name", ["s3dg", "s3dg_rspnet"])
def test_a_gate_follows_every_temporal_convolution(name: str):
    """20 of them: the stem, conv2b, and two in each of nine blocks; none elsewhere."""
    gates = {
        key.removesuffix(".gate") for key, module in build_encoder(name).named_modules() if isinstance(module, Gate)
    }
    mixed = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
    assert gates == {"layers.conv1", "layers.conv2b"} | {
        f"layers.mixed{block}.branches.{branch}.1" for block in mixed for branch in (1, 2)
    }


@pytest.mark.parametrize(("name", "momentum"), [("s3dg", 0.1), ("s3dg_rspnet", 0.001)])
def test_batch_norm_is_as_it_says(name: str, momentum: float):
    """eps 1e-3 everywhere; momentum 0.001 in RSPNet's published code, so that one step hardly moves statistics."""
    norms = [module for module in build_encoder(name).modules() if isinstance(module, nn.BatchNorm3d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, momentum)}
