"""C3D (arXiv 1412.0767) with batch norm, as the published code of VCOP, Pace and RSPNet has it: the five groups
of convolutions alone, without the last pool and the three fully connected layers."""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.convolutions import dense_convolution
from rspnet_core.encoders.video_encoder import VideoEncoder

# The paper's names of its convolutions; "pool" is the max-pool after a group.
LAYERS = (
    ("1", 64),
    ("pool1", (1, 2, 2)),
    ("2", 128),
    ("pool2", (2, 2, 2)),
    ("3a", 256),
    ("3b", 256),
    ("pool3", (2, 2, 2)),
    ("4a", 512),
    ("4b", 512),
    ("pool4", (2, 2, 2)),
    ("5a", 512),
    ("5b", 512),
)


class C3D(VideoEncoder):
    """Eight 3 x 3 x 3 convolutions with biases, each with batch norm and ReLU; 27,661,440 parameters.

    16 x 112 x 112 -> 512 x 2 x 7 x 7. The pools drop what does not fill a window: clips need 8 frames and 16
    pixels a side. PyTorch's own initialisation, as published.
    """

    feature_dim = 512
    min_num_frames = 8
    min_side = 16

    def __init__(self) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        in_channels = 3
        for name, size in LAYERS:
            if isinstance(size, tuple):
                layers[name] = nn.MaxPool3d(size)
            else:
                layers[name] = _block(in_channels, size)
                in_channels = size
        self.layers = nn.Sequential(layers)

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.layers(clips)


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        dense_convolution(in_channels, out_channels, (3, 3, 3), bias=True),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(inplace=True),
    )
