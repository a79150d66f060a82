from copy import deepcopy

import pytest
import torch
from torch import nn

from rspnet_core.encoders import ENCODERS, build_encoder
from rspnet_core.encoders.momentum_encoder import MomentumEncoder
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.encoders.tiny import TinyEncoder
from rspnet_core.encoders.video_encoder import VideoEncoder, pool

# The deeper and wider of a family run the same code as the one that is kept; their shapes and counts are in
# test_encoder_shapes.
FAMILY = {"r3d_50_2x", "r3d_50_4x", "r3d_101", "r3d_152", "r3d_152_2x", "swin3d_s", "swin3d_b"}
ONE_OF_EACH_FAMILY = sorted(set(ENCODERS) - FAMILY)


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small_clips(num_clips: int = 2) -> torch.Tensor:
    return torch.randn(num_clips, 3, 8, 32, 32)


def batch_norms(
    network: nn.Module, kind: type[nn.BatchNorm3d] | type[nn.SyncBatchNorm]
) -> list[tuple[float, float | None]]:
    """Epsilon and momentum of each."""
    return [(module.eps, module.momentum) for module in network.modules() if isinstance(module, kind)]


def test_tiny_is_small_and_keeps_time():
    """About 0.3 M parameters; 8 x 64 x 64 gives 128 x 4 x 4 x 4."""
    encoder = TinyEncoder()
    assert 280_000 < num_parameters(encoder) < 300_000
    assert encoder(torch.randn(2, 3, 8, 64, 64)).shape == (2, 128, 4, 4, 4)


@pytest.fixture(scope="module", params=ONE_OF_EACH_FAMILY)
def encoder(request: pytest.FixtureRequest) -> VideoEncoder:
    """Built once for all tests of a name, which leave it as it was, in eval mode."""
    torch.manual_seed(0)
    return build_encoder(request.param).eval()


def test_every_encoder_sees_the_order_of_frames(encoder: VideoEncoder):
    """Averaged features change when frames are shuffled: speed can be perceived at all."""
    clip = small_clips(1)
    with torch.no_grad():
        plain, shuffled = (pool(encoder(c)) for c in (clip, clip[:, :, [0, 4, 1, 5, 2, 6, 3, 7]]))
    assert (plain - shuffled).abs().max() > 1e-3 * plain.abs().max()


def test_every_parameter_of_an_encoder_takes_part(encoder: VideoEncoder):
    """No parameter is without gradient, as DistributedDataParallel asks; all gradients are finite."""
    trained = deepcopy(encoder).train()
    trained(small_clips()).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in trained.named_parameters()}
    assert [name for name, gradient in gradients.items() if gradient is None] == []
    assert all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)


def test_evaluation_changes_nothing_and_repeats(encoder: VideoEncoder):
    """In eval mode two forwards are equal and no buffer moves; in training mode batch norms' statistics do, and
    nothing else is random."""
    changing = deepcopy(encoder)
    clips = small_clips()
    with torch.no_grad():
        assert torch.equal(changing(clips), changing(clips))
        assert moved(changing, encoder) == set()
        assert torch.equal(changing.train()(clips), changing(clips))
    statistics = {name for name, _ in encoder.named_buffers() if "running" in name or "num_batches" in name}
    assert moved(changing, encoder) == statistics


def moved(encoder: nn.Module, original: nn.Module) -> set[str]:
    before = original.state_dict()
    return {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}


def test_bfloat16_and_channels_last_agree_with_float32(encoder: VideoEncoder):
    """Under autocast and in the channels-last layout the map is that of float32, within bfloat16's precision."""
    clips = small_clips()
    with torch.no_grad():
        expected = encoder(clips)
        rearranged = deepcopy(encoder).to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
        clips = clips.contiguous(memory_format=torch.channels_last_3d)
        tolerance = 1e-3 * expected.abs().max().item()
        torch.testing.assert_close(rearranged(clips), expected, rtol=1e-3, atol=tolerance)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = rearranged(clips).float()
    assert (rounded - expected).norm() < 0.1 * expected.norm()


def test_synchronised_batch_norm_replaces_every_batch_norm(encoder: VideoEncoder):
    """Conversion finds all of them and keeps eps, momentum and what an evaluation computes."""
    clips = small_clips(1)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(deepcopy(encoder))
    assert batch_norms(converted, nn.BatchNorm3d) == []
    assert batch_norms(converted, nn.SyncBatchNorm) == batch_norms(encoder, nn.BatchNorm3d)
    with torch.no_grad():
        torch.testing.assert_close(converted(clips), encoder(clips))


@pytest.mark.parametrize("name", ONE_OF_EACH_FAMILY)
def test_the_smallest_clip_leaves_a_map_and_a_smaller_one_is_refused(name: str):
    """`min_num_frames` and `min_side` are enough for a map; below them the error names the size and what is
    accepted. Judged by shapes alone."""
    with torch.device("meta"):
        encoder = build_encoder(name).eval()
        frames, side = encoder.min_num_frames, encoder.min_side
        assert all(size > 0 for size in encoder(torch.empty(1, 3, frames, side, side)).shape)
        for clip_size in ((frames - 1, side, side), (frames, side - 1, side), (frames, side, side - 1)):
            size = f"{clip_size[0]} frames, {clip_size[1]} x {clip_size[2]} pixels"
            accepted = f"at least {frames} frames, {side} x {side} pixels"
            with pytest.raises(ValueError, match=rf"{size}; accepted are {accepted}"):
                encoder(torch.empty(1, 3, *clip_size))


@pytest.mark.parametrize(("name", "frames", "side"), [("c3d", 8, 16), ("s3dg", 5, 17), ("s3dg_full_time", 1, 17)])
def test_less_than_the_minimum_would_leave_nothing(name: str, frames: int, side: int):
    """Where a minimum is above one, the layers themselves fail just below it: it is no larger than it must be."""
    with torch.device("meta"):
        encoder = build_encoder(name).eval()
        assert (encoder.min_num_frames, encoder.min_side) == (frames, side)
        too_small = [(frames, side - 1)] + [(frames - 1, side)] * (frames > 1)
        for num_frames, height in too_small:
            with pytest.raises(RuntimeError):
                encoder.feature_map(torch.empty(1, 3, num_frames, height, height))


def test_an_unknown_encoder_is_refused():
    """The error lists the encoders there are."""
    with pytest.raises(ValueError, match=r"encoder is 'resnet'; accepted are c3d, .*r3d_18, .*tiny"):
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
