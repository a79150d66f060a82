"""The contract of an encoder: clips in, a feature map out, pooled by whoever needs a vector."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn


class VideoEncoder(nn.Module, ABC):
    """A 3-D network without a classifier; a subclass writes `feature_map`.

    `feature_dim` is the number of channels of the feature map. `min_num_frames` and `min_side` (of height and
    width, pixels) are the smallest clip that leaves a map of at least one position; larger ones are accepted
    whatever they divide by.
    """

    feature_dim: int
    min_num_frames: int = 1
    min_side: int = 1

    def forward(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        """The last layer's output, after its activation. ValueError for clips that are too small."""
        num_frames, height, width = clips.shape[2:]
        self.check_clip_size(num_frames=num_frames, height=height, width=width)
        return self.feature_map(clips)

    @abstractmethod
    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        """What `forward` returns, for clips that are large enough."""

    def check_clip_size(self, *, num_frames: int, height: int, width: int) -> None:
        """Raises ValueError for clips that are too small for this encoder; needs no clip, only its size."""
        if num_frames < self.min_num_frames or min(height, width) < self.min_side:
            raise ValueError(
                f"{type(self).__name__} is given clips of {num_frames} frames, {height} x {width} pixels; accepted "
                f"are at least {self.min_num_frames} frames, {self.min_side} x {self.min_side} pixels"
            )


def pool(
    feature_map: Float[Tensor, "batch feature map_time map_height map_width"],
) -> Float[Tensor, "batch feature"]:
    """Global average over time and space."""
    return feature_map.mean(dim=(2, 3, 4))
