"""MViT and Video Swin as encoders, against torchvision's own forwards and by hand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import video
from torchvision.models.video.mvit import MViT
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d

from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.mvit import MultiscaleTransformer
from rspnet_core.encoders.swin3d import VideoSwinTransformer, WindowAttention


def input_of_head(network: nn.Module, clips: Tensor) -> Tensor:
    """What torchvision's classifier reads."""
    captured = []
    handle = network.get_submodule("head").register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    with torch.no_grad():
        network.eval()(clips)
    handle.remove()
    return captured[0]


def output_of_norm(network: nn.Module, clips: Tensor) -> Tensor:
    captured = []
    handle = network.get_submodule("norm").register_forward_hook(lambda *call: captured.append(call[2]))
    with torch.no_grad():
        network.eval()(clips)
    handle.remove()
    return captured[0]


@pytest.mark.parametrize("build", [video.mvit_v1_b, video.mvit_v2_s])
def test_mvit_gives_torchvisions_patches_as_a_map(build: Callable[..., MViT]):
    """At the size that a network is made for, the map holds its normalised tokens in order, without the first,
    the class token. To be quick, torchvision's network is made for 4 x 64 x 96."""
    network = build(stochastic_depth_prob=0.0)
    encoding = network.pos_encoding
    encoding.temporal_size, encoding.spatial_size = 2, (16, 24)
    if encoding.spatial_pos is not None:
        encoding.temporal_pos = nn.Parameter(torch.randn(2, 96))
        encoding.spatial_pos = nn.Parameter(torch.randn(16 * 24, 96))
    clips = torch.randn(2, 3, 4, 64, 96)
    tokens = output_of_norm(network, clips)
    with torch.no_grad():
        feature_map = MultiscaleTransformer(network).eval()(clips)
    assert feature_map.shape == (2, 768, 2, 2, 3)
    torch.testing.assert_close(feature_map.flatten(2).transpose(1, 2), tokens[:, 1:])


def test_positions_of_another_size_are_interpolated():
    """A table that rises by 1 a frame and is flat in space stays so, on 3 frames instead of 8 and 5 x 6 patches
    instead of 56 x 56: 0 to 7 sampled at the middles of 3 equal parts."""
    encoder = build_encoder("mvit_v1_b")
    assert isinstance(encoder, MultiscaleTransformer)
    with torch.no_grad():
        encoder.get_parameter("pos_encoding.temporal_pos").copy_(torch.arange(8.0)[:, None].expand(8, 96))
        encoder.get_parameter("pos_encoding.spatial_pos").fill_(10)
        encoder.get_parameter("pos_encoding.class_token").zero_()
        encoder.get_parameter("pos_encoding.class_pos").fill_(-1)
        captured = []
        encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
        encoder.get_parameter("conv_proj.weight").zero_()
        encoder.get_parameter("conv_proj.bias").zero_()
        encoder(torch.randn(1, 3, 6, 20, 24))
    tokens = captured[0]
    assert tokens.shape == (1, 1 + 3 * 5 * 6, 96)
    assert (tokens[0, 0] == -1).all()
    expected = 10 + torch.tensor([8 / 6 - 0.5, 3.5, 7 - (8 / 6 - 0.5)])
    torch.testing.assert_close(tokens[0, 1:, 0], expected.repeat_interleave(30))


def test_each_place_keeps_its_position_in_a_larger_clip():
    """A spatial table that is one hot in a quarter of the picture is interpolated into that quarter: height stays
    height and width stays width."""
    encoder = build_encoder("mvit_v1_b")
    assert isinstance(encoder, MultiscaleTransformer)
    table = torch.zeros(56, 56, 96)
    table[:28, 28:] = 1
    captured = []
    encoder.blocks[0].register_forward_pre_hook(lambda _, inputs: captured.append(inputs[0]))
    with torch.no_grad():
        encoder.get_parameter("pos_encoding.spatial_pos").copy_(table.flatten(0, 1))
        encoder.get_parameter("pos_encoding.temporal_pos").zero_()
        encoder.get_parameter("conv_proj.weight").zero_()
        encoder.get_parameter("conv_proj.bias").zero_()
        encoder(torch.randn(1, 3, 2, 32, 48))
    picture = captured[0][0, 1:, 0].reshape(8, 12)
    expected = torch.zeros(8, 12)
    expected[:4, 6:] = 1
    torch.testing.assert_close(picture, expected, atol=0.02, rtol=0)


def test_swin_equals_torchvision_where_windows_keep_their_size():
    """With torchvision's weights, at 224 pixels, the pooled map is what torchvision's classifier reads."""
    network = video.swin3d_t()
    encoder = build_encoder("swin3d_t").eval()
    assert isinstance(encoder, VideoSwinTransformer)
    encoder.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("head.")})
    clips = torch.randn(1, 3, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(encoder(clips).mean((2, 3, 4)), input_of_head(network, clips))


def test_a_window_that_shrank_keeps_the_bias_of_each_pair():
    """Slow reference: the table's row for an offset (dt, dh, dw) in a window of 8 x 7 x 7 is
    ((dt + 7) 13 + dh + 6) 13 + dw + 6. torchvision's own lookup differs once height or width shrink."""
    attention = WindowAttention(4, [8, 7, 7], [0, 0, 0], 2)
    theirs = ShiftedWindowAttention3d(4, [8, 7, 7], [0, 0, 0], 2)
    theirs.load_state_dict(attention.state_dict())
    size = [2, 3, 4]
    places = [(t, h, w) for t in range(2) for h in range(3) for w in range(4)]
    rows = [[((a[0] - b[0] + 7) * 13 + a[1] - b[1] + 6) * 13 + a[2] - b[2] + 6 for b in places] for a in places]
    expected = attention.relative_position_bias_table[torch.tensor(rows)].permute(2, 0, 1)[None]
    assert torch.equal(attention.get_relative_position_bias(size), expected)
    assert not torch.equal(theirs.get_relative_position_bias(size), expected)
    for kept in ([8, 7, 7], [3, 7, 7]):
        assert torch.equal(attention.get_relative_position_bias(kept), theirs.get_relative_position_bias(kept))


def test_every_attention_of_swin_looks_up_the_right_biases():
    """12 blocks in swin3d_t, none left with torchvision's lookup."""
    attentions = [m for m in build_encoder("swin3d_t").modules() if isinstance(m, ShiftedWindowAttention3d)]
    assert [type(attention) for attention in attentions] == [WindowAttention] * 12
