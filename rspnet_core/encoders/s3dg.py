"""S3D-G: Inception with separable convolutions over space and time, and gates ("Rethinking Spatiotemporal Feature
Learning", arXiv 1712.04851).

Gate: Y = sigmoid(W mean(X) + b) * X with the mean over time and space, one number a channel. A gate follows
every temporal convolution, 20 in all. Its place and its bias are as in RSPNet's published code; the authors' own
TensorFlow-Slim code gates all four branches of a block instead, not the stem, and without bias. The paper's text
was not at hand; its parameter count (11.6 M, from memory) fits neither.

Three builders differ in where time is halved:
- `s3dg`: on the stem's temporal convolution and in two max-pools, as the paper's network does.
- `s3dg_rspnet`: as RSPNet's published code does, on the stem's *spatial* convolution, whose kernel spans one
  frame: every second frame is never looked at. Its released weights need it, and batch norm's momentum of 0.001.
- `s3dg_full_time`: nowhere, as SpeedNet (CVPR 2020) asks; the last max-pool's kernel then spans one frame.
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.convolutions import UNIT, Size, dense_convolution
from rspnet_core.encoders.video_encoder import VideoEncoder

# Channels of a block: 1 x 1 x 1; reduction and 3 x 3 x 3, twice; 1 x 1 x 1 after the max-pool.
MIXED_CHANNELS = {
    "mixed3b": (64, 96, 128, 16, 32, 32),
    "mixed3c": (128, 128, 192, 32, 96, 64),
    "mixed4b": (192, 96, 208, 16, 48, 64),
    "mixed4c": (160, 112, 224, 24, 64, 64),
    "mixed4d": (128, 128, 256, 24, 64, 64),
    "mixed4e": (112, 144, 288, 32, 64, 64),
    "mixed4f": (256, 160, 320, 32, 128, 128),
    "mixed5b": (256, 160, 320, 32, 128, 128),
    "mixed5c": (384, 192, 384, 48, 128, 128),
}
NORM_EPS = 1e-3


class Gate(nn.Module):
    """Scales each channel by how much the whole clip speaks for it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.excitation = nn.Conv3d(channels, channels, 1)

    def forward(
        self, maps: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch channel time height width"]:
        return torch.sigmoid(self.excitation(maps.mean(dim=(2, 3, 4), keepdim=True))) * maps


class InceptionBlock(nn.Module):
    """Four branches side by side, joined along the channels."""

    def __init__(self, in_channels: int, channels: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        point, reduction1, separable1, reduction2, separable2, pooled = channels
        self.branches = nn.ModuleList(
            (
                _unit(in_channels, point, UNIT),
                nn.Sequential(_unit(in_channels, reduction1, UNIT), _separable(reduction1, separable1, 3)),
                nn.Sequential(_unit(in_channels, reduction2, UNIT), _separable(reduction2, separable2, 3)),
                nn.Sequential(nn.MaxPool3d(3, stride=1, padding=1), _unit(in_channels, pooled, UNIT)),
            )
        )

    def forward(
        self, maps: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature time height width"]:
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class S3DG(VideoEncoder):
    """64 x 224 x 224 -> 1024 x 8 x 7 x 7, 8,675,744 parameters, whichever convolution of the stem strides.

    `time_stride` is 2 or 1 (time is kept throughout). `has_published_stem` puts the stem's stride over time on
    its spatial convolution.
    """

    feature_dim = 1024
    min_num_frames = 5
    min_side = 17

    def __init__(self, *, time_stride: int = 2, has_published_stem: bool = False) -> None:
        super().__init__()
        if time_stride == 1:
            self.min_num_frames = 1
        stem_strides = ((2, 2, 2), UNIT) if has_published_stem else ((1, 2, 2), (time_stride, 1, 1))
        last_pool = (time_stride, 2, 2)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv1"] = _separable(3, 64, 7, *stem_strides)
        layers["pool1"] = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        layers["conv2a"] = _unit(64, 64, UNIT)
        layers["conv2b"] = _separable(64, 192, 3)
        layers["pool2"] = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        in_channels = 192
        for name, channels in MIXED_CHANNELS.items():
            if name == "mixed4b":
                layers["pool3"] = nn.MaxPool3d(3, stride=(time_stride, 2, 2), padding=1)
            if name == "mixed5b":
                layers["pool4"] = nn.MaxPool3d(last_pool, stride=last_pool)
            layers[name] = InceptionBlock(in_channels, channels)
            in_channels = channels[0] + channels[2] + channels[4] + channels[5]
        self.layers = nn.Sequential(layers)

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.layers(clips)


def _unit(in_channels: int, out_channels: int, kernel: Size, stride: Size = UNIT) -> nn.Sequential:
    return nn.Sequential(
        dense_convolution(in_channels, out_channels, kernel, stride),
        nn.BatchNorm3d(out_channels, eps=NORM_EPS),
        nn.ReLU(inplace=True),
    )


def _separable(
    in_channels: int, out_channels: int, kernel: int, spatial_stride: Size = UNIT, temporal_stride: Size = UNIT
) -> nn.Sequential:
    """Over space, then over time, each with batch norm and ReLU; then the gate."""
    return nn.Sequential(
        OrderedDict(
            spatial=_unit(in_channels, out_channels, (1, kernel, kernel), spatial_stride),
            temporal=_unit(out_channels, out_channels, (kernel, 1, 1), temporal_stride),
            gate=Gate(out_channels),
        )
    )


def _initialise(encoder: S3DG) -> S3DG:
    """As the authors' TensorFlow-Slim code: normal of standard deviation 0.01, cut at two of them; no biases."""
    for module in encoder.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return encoder


def s3dg() -> S3DG:
    """The paper's. Batch norm's momentum is PyTorch's 0.1 on purpose: the published decay of 0.999 suits runs of
    hundreds of thousands of steps, and leaves running statistics that are wrong after a few thousand."""
    return _initialise(S3DG())


def s3dg_full_time() -> S3DG:
    """SpeedNet's: 64 x 224 x 224 -> 1024 x 64 x 7 x 7, eight times the memory of `s3dg`."""
    return _initialise(S3DG(time_stride=1))


def s3dg_rspnet() -> S3DG:
    """RSPNet's published code: odd frames have no effect, batch norm's momentum is 0.001, PyTorch's own
    initialisation."""
    encoder = S3DG(has_published_stem=True)
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = 0.001
    return encoder
