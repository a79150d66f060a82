"""From a feature map to an embedding for a loss; thrown away after pretraining."""

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.head_kinds import HeadKind
from rspnet_core.encoders.video_encoder import pool


class ProjectionHead(nn.Module):
    """Global average pool, then, with hidden layers of the encoder's width:

    "linear": Linear (RSPNet); "mlp": Linear, ReLU, Linear; "mlp_3": two hidden layers, no batch norm (rho-MoCo's and
    rho-SimCLR's published settings); "mlp_4_batch_norm": three hidden layers of Linear, batch norm, ReLU (CVRL, whose
    running statistics move by 0.003 a step).

    The embedding is not normalised: the task does that, in float32.
    """

    def __init__(self, *, feature_dim: int, embedding_dim: int, kind: HeadKind) -> None:
        super().__init__()
        num_hidden = {"linear": 0, "mlp": 1, "mlp_3": 2, "mlp_4_batch_norm": 3}[kind]
        layers: list[nn.Module] = []
        for _ in range(num_hidden):
            layers.append(nn.Linear(feature_dim, feature_dim))
            if kind == "mlp_4_batch_norm":
                layers.append(nn.BatchNorm1d(feature_dim, momentum=0.003))
            layers.append(nn.ReLU(inplace=True))
        self.layers = nn.Sequential(*layers, nn.Linear(feature_dim, embedding_dim))

    def forward(
        self, feature_map: Float[Tensor, "batch feature map_time map_height map_width"]
    ) -> Float[Tensor, "batch embedding"]:
        return self.layers(pool(feature_map))
