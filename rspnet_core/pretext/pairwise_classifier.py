"""Which order several clips are in, told from all pairs of them (OPN, VCOP)."""

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PairwiseClassifier(nn.Module):
    """Every two clips' features, concatenated, through one shared Linear and ReLU; then dropout and a Linear over all
    pairs."""

    def __init__(self, *, feature_dim: int, num_clips: int, num_classes: int, pair_dim: int, dropout: float) -> None:
        super().__init__()
        self.pairs = list(combinations(range(num_clips), 2))
        self.of_pair = nn.Sequential(nn.Linear(2 * feature_dim, pair_dim), nn.ReLU(inplace=True))
        self.of_all = nn.Sequential(nn.Dropout(dropout), nn.Linear(len(self.pairs) * pair_dim, num_classes))

    def forward(self, features: Float[Tensor, "batch num_clips feature"]) -> Float[Tensor, "batch num_classes"]:
        pairs = torch.stack([features[:, pair].flatten(1) for pair in self.pairs], dim=1)
        return self.of_all(self.of_pair(pairs).flatten(1))
