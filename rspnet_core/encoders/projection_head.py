"""From a feature map to an embedding for a loss; thrown away after pretraining."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import pool


class ProjectionHead(nn.Module):
    """Global average pool, then Linear ("linear") or Linear, ReLU, Linear at the encoder's width ("mlp").

    The embedding is not normalised: the task does that, in float32.
    """

    def __init__(self, *, feature_dim: int, embedding_dim: int, kind: Literal["linear", "mlp"]) -> None:
        super().__init__()
        projection = nn.Linear(feature_dim, embedding_dim)
        if kind == "linear":
            self.layers = nn.Sequential(projection)
        else:
            self.layers = nn.Sequential(nn.Linear(feature_dim, feature_dim), nn.ReLU(inplace=True), projection)

    def forward(
        self, feature_map: Float[Tensor, "batch feature map_time map_height map_width"]
    ) -> Float[Tensor, "batch embedding"]:
        return self.layers(pool(feature_map))
