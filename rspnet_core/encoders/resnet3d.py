"""3-D ResNet as in "Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?" (arXiv
1711.09577)."""

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import VideoEncoder

STAGE_CHANNELS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3 x 3 x 3 convolutions around a shortcut, which is a strided 1 x 1 x 1 convolution wherever the
    shape changes (type B)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm3d(out_channels)
        self.conv2 = nn.Conv3d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            convolution = nn.Conv3d(in_channels, out_channels, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm3d(out_channels))

    def forward(
        self, maps: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        residual = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(maps)))))
        return self.relu(residual + self.shortcut(maps))


class ResNet3d(VideoEncoder):
    """A 7 x 7 x 7 stem with stride (1, 2, 2), a 3 x 3 x 3 max-pool with stride 2, and four stages of basic
    blocks, the last three of which halve time, height and width. 16 x 112 x 112 -> 512 x 1 x 4 x 4."""

    feature_dim = STAGE_CHANNELS[-1]

    def __init__(self, num_blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, STAGE_CHANNELS[0], 7, stride=(1, 2, 2), padding=3, bias=False),
            nn.BatchNorm3d(STAGE_CHANNELS[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool3d(3, stride=2, padding=1),
        )
        in_channels = (STAGE_CHANNELS[0], *STAGE_CHANNELS[:-1])
        strides = (1, 2, 2, 2)
        stages = zip(in_channels, STAGE_CHANNELS, strides, num_blocks, strict=True)
        self.stages = nn.Sequential(*(_stage(*stage) for stage in stages))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.stages(self.stem(clips))


def _stage(in_channels: int, out_channels: int, stride: int, num_blocks: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(BasicBlock(out_channels, out_channels, 1) for _ in range(num_blocks - 1)))


def resnet3d_18() -> ResNet3d:
    """R3D-18 as RSPNet's published code has it: 33,203,904 parameters without a classifier."""
    return ResNet3d((2, 2, 2, 2))
