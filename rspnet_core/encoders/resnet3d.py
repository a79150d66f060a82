"""3-D residual networks of basic blocks.

- `r3d_18` is that of "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?" (arXiv
  1711.09577), which RSPNet's published code uses.
- `r3d_10` and `r2plus1d_10` are those of "Self-supervised Spatiotemporal Learning via Video Clip Order
  Prediction" (CVPR 2019): one block a stage, no max-pool. The published tables of VCOP, VCP, Pace and RSPNet call
  them R3D and R(2+1)D; they are not the 18-layer networks of those names (`torchvision_r3d_18`, `r2plus1d_18`).
"""

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.convolutions import (
    UNIT,
    ConvolutionBuilder,
    FactorisedConvolution,
    Size,
    dense_convolution,
    kaiming_fan_out,
)
from rspnet_core.encoders.video_encoder import VideoEncoder

STAGE_CHANNELS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3 x 3 x 3 convolutions around a shortcut, which is a strided 1 x 1 x 1 convolution wherever the
    shape changes (type B)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, convolution: ConvolutionBuilder) -> None:
        super().__init__()
        strides = (stride, stride, stride)
        self.conv1 = convolution(in_channels, out_channels, (3, 3, 3), strides)
        self.norm1 = nn.BatchNorm3d(out_channels)
        self.conv2 = convolution(out_channels, out_channels, (3, 3, 3), UNIT)
        self.norm2 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = convolution(in_channels, out_channels, UNIT, strides)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm3d(out_channels))

    def forward(
        self, maps: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        residual = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(maps)))))
        return self.relu(residual + self.shortcut(maps))


class ResNet3d(VideoEncoder):
    """A stem with stride (1, 2, 2), a 3 x 3 x 3 max-pool with stride 2 if asked for, and four stages of basic
    blocks, the last three of which halve time, height and width. 16 x 112 x 112 -> 512 x 1 x 4 x 4 with the
    max-pool, 512 x 2 x 7 x 7 without. Every `convolution` is of one kind."""

    feature_dim = STAGE_CHANNELS[-1]

    def __init__(
        self,
        *,
        num_blocks: tuple[int, int, int, int],
        stem_kernel: Size,
        has_max_pool: bool,
        convolution: ConvolutionBuilder,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            convolution(3, STAGE_CHANNELS[0], stem_kernel, (1, 2, 2)),
            nn.BatchNorm3d(STAGE_CHANNELS[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, stride=2, padding=1) if has_max_pool else nn.Identity(),
        )
        in_channels = (STAGE_CHANNELS[0], *STAGE_CHANNELS[:-1])
        strides = (1, 2, 2, 2)
        stages = zip(in_channels, STAGE_CHANNELS, strides, num_blocks, strict=True)
        self.stages = nn.Sequential(*(_stage(*stage, convolution) for stage in stages))

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.stages(self.stem(clips))


def _stage(
    in_channels: int, out_channels: int, stride: int, num_blocks: int, convolution: ConvolutionBuilder
) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride, convolution)
    rest = (BasicBlock(out_channels, out_channels, 1, convolution) for _ in range(num_blocks - 1))
    return nn.Sequential(first, *rest)


def r3d_18() -> ResNet3d:
    """33,203,904 parameters, drawn by Kaiming's fan-out rule as published."""
    encoder = ResNet3d(num_blocks=(2, 2, 2, 2), stem_kernel=(7, 7, 7), has_max_pool=True, convolution=dense_convolution)
    kaiming_fan_out(encoder)
    return encoder


def r3d_10() -> ResNet3d:
    """14,361,792 parameters; PyTorch's own initialisation, as published."""
    return ResNet3d(num_blocks=(1, 1, 1, 1), stem_kernel=(3, 7, 7), has_max_pool=False, convolution=dense_convolution)


def r2plus1d_10() -> ResNet3d:
    """14,365,303 parameters; PyTorch's own initialisation, as published. The shortcuts' 1 x 1 x 1 convolutions
    are factorised too."""
    return ResNet3d(
        num_blocks=(1, 1, 1, 1), stem_kernel=(3, 7, 7), has_max_pool=False, convolution=FactorisedConvolution
    )
