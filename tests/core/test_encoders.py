import pytest
import torch
from torch import nn

from rspnet_core.encoders import ENCODERS, build_encoder
from rspnet_core.encoders.momentum_encoder import MomentumEncoder
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.encoders.resnet3d import resnet3d_18
from rspnet_core.encoders.tiny import TinyEncoder


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_r3d_18_is_the_published_network():
    """33,203,904 parameters, 20 convolutions and 20 batch norms; 16 x 112 x 112 gives 512 x 1 x 4 x 4."""
    encoder = resnet3d_18().eval()
    assert num_parameters(encoder) == 33_203_904
    assert sum(isinstance(module, nn.Conv3d) for module in encoder.modules()) == 20
    assert sum(isinstance(module, nn.BatchNorm3d) for module in encoder.modules()) == 20
    with torch.no_grad():
        assert encoder(torch.randn(1, 3, 16, 112, 112)).shape == (1, 512, 1, 4, 4)


def test_r3d_18_starts_with_fan_out_kaiming():
    """The stem's weights have a variance of 2 / (64 x 7^3)."""
    weight = resnet3d_18().stem.get_parameter("0.weight")
    assert weight.std().item() == pytest.approx((2 / (64 * 7**3)) ** 0.5, rel=0.02)


def test_tiny_is_small_and_keeps_time():
    """About 0.3 M parameters; 8 x 64 x 64 gives 128 x 4 x 4 x 4."""
    encoder = TinyEncoder()
    assert 280_000 < num_parameters(encoder) < 300_000
    assert encoder(torch.randn(2, 3, 8, 64, 64)).shape == (2, 128, 4, 4, 4)


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_encoder_sees_the_order_of_frames(name: str):
    """Averaged features change when frames are shuffled: speed can be perceived at all."""
    encoder = build_encoder(name).eval()
    clip = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        plain, shuffled = (encoder(c).mean((2, 3, 4)) for c in (clip, clip[:, :, [0, 4, 1, 5, 2, 6, 3, 7]]))
    assert (plain - shuffled).abs().max() > 1e-3 * plain.abs().max()


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_every_parameter_of_an_encoder_takes_part(name: str):
    """No parameter is without gradient, as DistributedDataParallel asks."""
    encoder = build_encoder(name)
    encoder(torch.randn(2, 3, 8, 32, 32)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_an_unknown_encoder_is_refused():
    """The error lists the encoders there are."""
    with pytest.raises(ValueError, match="r3d_18, tiny"):
        build_encoder("resnet")


def test_linear_head_is_a_linear_map_of_the_mean():
    """512 x 128 + 128 parameters, applied to the map's average over time and space."""
    head = ProjectionHead(feature_dim=512, embedding_dim=128, kind="linear")
    assert num_parameters(head) == 65_664
    feature_map = torch.randn(3, 512, 2, 4, 4)
    weight, bias = head.parameters()
    expected = feature_map.mean((2, 3, 4)) @ weight.T + bias
    torch.testing.assert_close(head(feature_map), expected)


def test_mlp_head_has_a_hidden_layer_of_the_encoders_width():
    """16 x 16 + 16, then 16 x 4 + 4."""
    head = ProjectionHead(feature_dim=16, embedding_dim=4, kind="mlp")
    assert num_parameters(head) == 340
    assert head(torch.randn(2, 16, 1, 2, 2)).shape == (2, 4)


def test_momentum_is_an_exponential_average_of_parameters():
    """Two updates at momentum 0.9: 0.9 (0.9 k + 0.1 a) + 0.1 b, for every parameter."""
    source = nn.Linear(3, 2)
    momentum = MomentumEncoder(source)
    start = [parameter.clone() for parameter in momentum.network.parameters()]
    targets = []
    for _ in range(2):
        for parameter in source.parameters():
            nn.init.normal_(parameter)
        targets.append([parameter.detach().clone() for parameter in source.parameters()])
        momentum.follow(source, 0.9)
    for parameter, k, a, b in zip(momentum.network.parameters(), start, *targets, strict=True):
        torch.testing.assert_close(parameter, 0.9 * (0.9 * k + 0.1 * a) + 0.1 * b)


def test_momentum_copy_takes_no_gradient_and_its_own_batch_statistics():
    """Parameters follow, running means do not: they come from the copy's own forwards."""
    source = nn.BatchNorm3d(2)
    momentum = MomentumEncoder(source)
    source(torch.randn(4, 2, 1, 2, 2) + 5)
    nn.init.constant_(source.weight, 3.0)
    momentum.follow(source, 0.5)
    state = momentum.network.state_dict()
    assert state["weight"].tolist() == [2.0, 2.0]
    assert state["running_mean"].tolist() == [0.0, 0.0]
    output = momentum(torch.randn(4, 2, 1, 2, 2).requires_grad_() - 5)
    assert not output.requires_grad
    assert (state["running_mean"] < -0.3).all()
    assert not any(parameter.requires_grad for parameter in momentum.parameters())
