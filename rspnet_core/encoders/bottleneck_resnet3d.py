"""3-D residual networks of bottleneck blocks that never stride over time after their stem.

- CVRL's R3D-50, -101 and -152 (arXiv 2008.03800, table 1): stem 5 x 7 x 7 with stride 2 in time.
- Slow R50 (arXiv 1812.03982; the encoder of arXiv 2104.14558's MoCo, SimCLR, BYOL and SwAV on video): stem
  1 x 7 x 7 with stride 1 in time, so that all frames are kept up to the feature map.
"""

from math import prod
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.convolutions import UNIT, Size, dense_convolution, kaiming_fan_out
from rspnet_core.encoders.video_encoder import VideoEncoder

EXPANSION = 4
STAGE_WIDTHS = (64, 128, 256, 512)
# res4 and res5 alone compare neighbouring frames, in every block.
TEMPORAL_KERNELS = (1, 1, 3, 3)
NUM_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class BottleneckBlock(nn.Module):
    """T x 1 x 1, 1 x 3 x 3 and 1 x 1 x 1 convolutions around a shortcut, which is a 1 x 1 x 1 convolution
    wherever the shape changes. The spatial stride lies on the middle convolution."""

    def __init__(self, in_channels: int, width: int, temporal_kernel: int, spatial_stride: int) -> None:
        super().__init__()
        stride = (1, spatial_stride, spatial_stride)
        out_channels = EXPANSION * width
        self.conv1 = dense_convolution(in_channels, width, (temporal_kernel, 1, 1))
        self.norm1 = nn.BatchNorm3d(width)
        self.conv2 = dense_convolution(width, width, (1, 3, 3), stride)
        self.norm2 = nn.BatchNorm3d(width)
        self.conv3 = dense_convolution(width, out_channels, UNIT)
        self.norm3 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if spatial_stride != 1 or in_channels != out_channels:
            projection = dense_convolution(in_channels, out_channels, UNIT, stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm3d(out_channels))

    def forward(
        self, maps: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature time map_height map_width"]:
        residual = self.relu(self.norm1(self.conv1(maps)))
        residual = self.relu(self.norm2(self.conv2(residual)))
        return self.relu(self.norm3(self.conv3(residual)) + self.shortcut(maps))


class BottleneckResNet3d(VideoEncoder):
    """`width_multiplier` times the published channels, the stem's included; 2048 features at 1."""

    feature_dim: int

    def __init__(self, *, depth: int, stem_kernel: Size, stem_stride: Size, width_multiplier: int = 1) -> None:
        super().__init__()
        widths = [width_multiplier * width for width in STAGE_WIDTHS]
        self.feature_dim = EXPANSION * widths[-1]
        self.stem = nn.Sequential(
            dense_convolution(3, widths[0], stem_kernel, stem_stride),
            nn.BatchNorm3d(widths[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
        )
        in_channels = (widths[0], *(EXPANSION * width for width in widths[:-1]))
        strides = (1, 2, 2, 2)
        stages = zip(in_channels, widths, TEMPORAL_KERNELS, strides, NUM_BLOCKS[depth], strict=True)
        self.stages = nn.Sequential(*(_stage(*stage) for stage in stages))

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.stages(self.stem(clips))


class CvrlResNet3d(BottleneckResNet3d):
    """16 x 224 x 224 -> 2048 x 8 x 7 x 7; 31.7 M parameters at depth 50, as published.

    Initialised by Keras' VarianceScaling as published: normal of variance 1 / fan-in, cut at two standard
    deviations (before the cut's correction). Batch norm has PyTorch's eps 1e-5 and momentum 0.1, which are the
    published ones. On purpose not as published: PyTorch pads both sides alike where TensorFlow's SAME pads one
    pixel more at the end, which shifts maps by a pixel and lets no TensorFlow checkpoint agree exactly.
    """

    # Of a standard normal cut at +-2, by which Keras divides.
    truncated_standard_deviation: ClassVar[float] = 0.87962566103423978

    def __init__(self, *, depth: int, width_multiplier: int = 1) -> None:
        super().__init__(depth=depth, stem_kernel=(5, 7, 7), stem_stride=(2, 2, 2), width_multiplier=width_multiplier)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                fan_in = module.in_channels * prod(module.kernel_size)
                std = fan_in**-0.5 / self.truncated_standard_deviation
                nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)


def _stage(in_channels: int, width: int, temporal_kernel: int, spatial_stride: int, num_blocks: int) -> nn.Sequential:
    first = BottleneckBlock(in_channels, width, temporal_kernel, spatial_stride)
    rest = (BottleneckBlock(EXPANSION * width, width, temporal_kernel, 1) for _ in range(num_blocks - 1))
    return nn.Sequential(first, *rest)


def r3d_50() -> CvrlResNet3d:
    """31,672,128 parameters."""
    return CvrlResNet3d(depth=50)


def r3d_50_2x() -> CvrlResNet3d:
    """Twice the channels; 4096 features."""
    return CvrlResNet3d(depth=50, width_multiplier=2)


def r3d_50_4x() -> CvrlResNet3d:
    """Four times the channels; 8192 features."""
    return CvrlResNet3d(depth=50, width_multiplier=4)


def r3d_101() -> CvrlResNet3d:
    """59,577,152 parameters."""
    return CvrlResNet3d(depth=101)


def r3d_152() -> CvrlResNet3d:
    """82,036,544 parameters."""
    return CvrlResNet3d(depth=152)


def r3d_152_2x() -> CvrlResNet3d:
    """CVRL's largest: twice the channels, 327,749,248 parameters; 4096 features."""
    return CvrlResNet3d(depth=152, width_multiplier=2)


def slow_r50() -> BottleneckResNet3d:
    """8 x 224 x 224 -> 2048 x 8 x 7 x 7; 31,634,496 parameters.

    Initialised by Kaiming's fan-out rule as published; the last batch norm of a block starts at 1, as in the
    self-supervised configurations (the supervised ones start it at 0).
    """
    encoder = BottleneckResNet3d(depth=50, stem_kernel=(1, 7, 7), stem_stride=(1, 2, 2))
    kaiming_fan_out(encoder)
    return encoder
