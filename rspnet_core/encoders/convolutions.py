"""Convolutions over time and space that several encoders are made of; all keep a size that their stride
divides."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

Size = tuple[int, int, int]  # time, height, width

UNIT: Size = (1, 1, 1)


def dense_convolution(
    in_channels: int, out_channels: int, kernel: Size, stride: Size = UNIT, *, bias: bool = False
) -> nn.Conv3d:
    """Over time and space at once, padded by half its kernel on each side."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=bias)


class FactorisedConvolution(nn.Module):
    """R(2+1)D's convolution (arXiv 1711.11248, section 3.5): over space, batch norm, ReLU, then over time; each
    takes its part of the stride.

    Between them are M = floor(t d^2 N_in N_out / (d^2 N_in + t N_out)) channels, so that it has about as many
    parameters as the dense t x d x d convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: Size, stride: Size = UNIT) -> None:
        super().__init__()
        time, height, width = kernel
        dense = time * height * width * in_channels * out_channels
        channels = dense // (height * width * in_channels + time * out_channels)
        self.spatial = dense_convolution(in_channels, channels, (1, height, width), (1, stride[1], stride[2]))
        self.norm = nn.BatchNorm3d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.temporal = dense_convolution(channels, out_channels, (time, 1, 1), (stride[0], 1, 1))

    def forward(
        self, maps: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.temporal(self.relu(self.norm(self.spatial(maps))))


ConvolutionBuilder = Callable[[int, int, Size, Size], nn.Module]


def kaiming_fan_out(network: nn.Module) -> None:
    """Draws every convolution anew: normal, variance 2 / (out_channels x kernel volume)."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
