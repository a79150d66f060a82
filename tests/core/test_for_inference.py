"""Encoders in the form that a CPU computes fastest are the same functions."""

import pytest
import torch
from torch import nn

from rspnet_core.encoders import ENCODERS, build_encoder
from rspnet_core.encoders.for_inference import fold_batch_norms, for_inference

SMALLEST = {"tiny": (4, 32), "c3d": (16, 112), "s3dg": (16, 64)}
"""Frames and pixels that an encoder needs; others take 4 frames of 64."""


@pytest.mark.parametrize("name", ["tiny", "r3d_18", "r2plus1d_18", "s3dg", "r3d_50"])
def test_features_are_the_same_up_to_rounding(name: str) -> None:
    """With running statistics that are not those of a fresh batch norm; the encoder itself is left as it was."""
    assert name in ENCODERS
    torch.manual_seed(0)
    encoder = build_encoder(name)
    num_frames, size = SMALLEST.get(name, (4, 64))
    encoder.train()
    with torch.no_grad():
        encoder(torch.randn(2, 3, num_frames, size, size) * 2 + 1)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    clips = torch.randn(1, 3, num_frames, size, size)
    fast = for_inference(encoder)
    with torch.inference_mode():
        torch.testing.assert_close(fast(clips), encoder.eval()(clips), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())
    assert sum(isinstance(each, nn.BatchNorm3d) for each in fast.modules()) < sum(
        isinstance(each, nn.BatchNorm3d) for each in encoder.modules()
    )


def test_folding_by_hand() -> None:
    """A convolution that doubles, and a norm of mean 3, variance 4, weight 5 and bias 7: 2 x -> 5 (2 x - 3) / 2 + 7."""
    convolution, norm = nn.Conv3d(1, 1, 1, bias=False), nn.BatchNorm3d(1, eps=0.0)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        convolution.weight.fill_(2)
        norm.running_mean.fill_(3)
        norm.running_var.fill_(4)
        norm.weight.fill_(5)
        norm.bias.fill_(7)
    blocks = nn.Sequential(convolution, norm, nn.ReLU()).eval()
    fold_batch_norms(blocks)
    assert isinstance(blocks[1], nn.Identity)
    assert blocks(torch.full((1, 1, 1, 1, 1), 10.0)).item() == pytest.approx(5 * (20 - 3) / 2 + 7)
    assert blocks(torch.full((1, 1, 1, 1, 1), -10.0)).item() == 0
