"""The contract of an encoder: clips in, a feature map out, pooled by whoever needs a vector."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class VideoEncoder(nn.Module, ABC):
    """A 3-D network without a classifier. `feature_dim` is the number of channels of its feature map."""

    feature_dim: int

    @abstractmethod
    def forward(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        """The last convolution's output, after its activation."""


def pool(
    feature_map: Float[Tensor, "batch feature map_time map_height map_width"],
) -> Float[Tensor, "batch feature"]:
    """Global average over time and space."""
    return feature_map.mean(dim=(2, 3, 4))
