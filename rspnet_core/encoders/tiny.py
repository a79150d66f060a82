"""A small encoder for clips of 8 x 64 x 64 on a CPU: recipes that prove the pipeline, and tests."""

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import VideoEncoder


class TinyEncoder(VideoEncoder):
    """Four 3 x 3 x 3 convolutions of 16, 32, 64 and 128 channels, each with batch norm and ReLU; 0.29 M
    parameters.

    8 x 64 x 64 -> 128 x 4 x 4 x 4. Time is halved by the last block alone, so that three layers compare
    neighbouring frames and motion survives.
    """

    feature_dim = 128

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            _block(3, 16, stride=(1, 2, 2)),
            _block(16, 32, stride=(1, 2, 2)),
            _block(32, 64, stride=(1, 2, 2)),
            _block(64, self.feature_dim, stride=(2, 2, 2)),
        )

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.blocks(clips)


def _block(in_channels: int, out_channels: int, stride: tuple[int, int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(inplace=True),
    )
