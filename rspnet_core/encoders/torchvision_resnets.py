"""torchvision's 18-layer networks of "A Closer Look at Spatiotemporal Convolutions for Action Recognition" (arXiv
1711.11248), without their classifiers: the same parameters under the same names, drawn as torchvision draws them
(Kaiming's fan-out rule)."""

from jaxtyping import Float
from torch import Tensor
from torchvision.models import video
from torchvision.models.video.resnet import VideoResNet

from rspnet_core.encoders.video_encoder import VideoEncoder


class TorchvisionResNet(VideoEncoder):
    """16 x 112 x 112 -> 512 x 2 x 7 x 7 (mc3_18: 512 x 16 x 7 x 7)."""

    feature_dim = 512

    def __init__(self, network: VideoResNet) -> None:
        super().__init__()
        self.stem = network.stem
        self.layer1 = network.layer1
        self.layer2 = network.layer2
        self.layer3 = network.layer3
        self.layer4 = network.layer4

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.layer4(self.layer3(self.layer2(self.layer1(self.stem(clips)))))


def torchvision_r3d_18() -> TorchvisionResNet:
    """33,166,272 parameters. Unlike `r3d_18`: stem 3 x 7 x 7 and no max-pool, hence maps twice as large a side."""
    return TorchvisionResNet(video.r3d_18())


def mc3_18() -> TorchvisionResNet:
    """11,490,240 parameters; 3-D convolutions in the first stage, 2-D ones after it, time kept."""
    return TorchvisionResNet(video.mc3_18())


def r2plus1d_18() -> TorchvisionResNet:
    """31,300,125 parameters."""
    return TorchvisionResNet(video.r2plus1d_18())
