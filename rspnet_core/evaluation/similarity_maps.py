"""Where in a clip its similarity to another clip comes from: the similarity activation maps of RSPNet's supplement.

Peihao Chen et al., AAAI 2021, https://arxiv.org/abs/2011.07949, supplement: M_i = ((W_j x_j)^T W_i) F_i.

| paper | here |
|---|---|
| i, j | the clip that is looked at, the clip that it is compared with |
| F_i, x_i = GAP(F_i) | `EmbeddedClips.feature_map`, its `pool` |
| W_i, W_j | `EmbeddedClips.head` of either clip: a momentum method has another one for its keys |
| (W_j x_j)^T W_i | the gradient of z_j . head(x) with respect to x, at x_i, where z_j is the other clip's embedding |
| M_i | `SimilarityMaps.values` |

The paper writes of heads that are one matrix. Ours have biases and may have hidden layers, so that:

- z_j is the embedding that the task compares, bias b_j included;
- M_i is linear in F_i, hence zero wherever the features are; what no position can be credited with is kept apart as
  `offset`. Always mean(M_i) + offset = z_i . z_j, the similarity before normalisation. For the head "linear" the offset
  is z_j . b_i, and without biases this is the paper's map and its identity to the letter;
- a head with hidden layers is taken as the linear map that it is around x_i: exact at x_i for ReLU and for batch norm
  in eval mode, which are linear piece by piece. Its offset is what the biases of the active units add up to. How far a
  position's features would switch units on or off is not in the map.

Deviation on purpose: the published script leaves the biases out of both sides and shows the mean over time.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import pool

SMALLEST_NORM = 1e-12
"""As in torch's `normalize`, which the tasks' cosines go through."""


@dataclass(frozen=True, kw_only=True)
class EmbeddedClips:
    """Feature maps, and the head that embeds them: a `ProjectionHead`, not a `MomentumEncoder` (its `network`)."""

    feature_map: Float[Tensor, "batch feature map_time map_height map_width"]
    head: nn.Module


@dataclass(frozen=True, kw_only=True)
class SimilarityMaps:
    """`values`: what each position adds, as a mean over positions. `similarity`: z_i . z_j = mean(`values`) +
    `offset`. `norm_product`: |z_i| |z_j|, by which all three are divided for cosines."""

    values: Float[Tensor, "batch map_time map_height map_width"]
    offset: Float[Tensor, " batch"]
    similarity: Float[Tensor, " batch"]
    norm_product: Float[Tensor, " batch"]

    @property
    def cosine(self) -> Float[Tensor, " batch"]:
        """The similarity that the task's loss sees."""
        return self.similarity / self.norm_product

    @property
    def cosine_values(self) -> Float[Tensor, "batch map_time map_height map_width"]:
        """The map in units of the cosine: comparable between heads and between videos."""
        return self.values / self.norm_product[:, None, None, None]

    @property
    def cosine_offset(self) -> Float[Tensor, " batch"]:
        return self.offset / self.norm_product


def pair_maps(first: EmbeddedClips, second: EmbeddedClips) -> tuple[SimilarityMaps, SimilarityMaps]:
    """The first clips' maps, compared with the second's, and the other way round; one similarity for both.

    Raises ValueError for heads in training mode: batch statistics would mix the clips of a batch.
    """
    first_embedding, second_embedding = _embed(first), _embed(second)
    return _maps(first, first_embedding, second_embedding), _maps(second, second_embedding, first_embedding)


def upsample_maps(
    values: Float[Tensor, "batch map_time map_height map_width"], *, num_frames: int, height: int, width: int
) -> Float[Tensor, "batch num_frames height width"]:
    """To the size of the encoder's input: trilinear, over time and space, each value in the middle of its cell.

    A value's cell is where its position lies on the grid; the frames and pixels that it was computed from reach
    further, and overlap with its neighbours'.
    """
    size = (num_frames, height, width)
    return F.interpolate(values[:, None], size=size, mode="trilinear", align_corners=False)[:, 0]


def _embed(clips: EmbeddedClips) -> Float[Tensor, "batch embedding"]:
    if clips.head.training:
        raise ValueError("the head is in training mode; accepted is eval mode (`evaluating`)")
    with torch.no_grad():
        return clips.head(clips.feature_map)


def _maps(
    clips: EmbeddedClips,
    embedding: Float[Tensor, "batch embedding"],
    other: Float[Tensor, "batch embedding"],
) -> SimilarityMaps:
    sensitivity = _sensitivity(clips.head, pool(clips.feature_map), other)
    values = torch.einsum("bcthw,bc->bthw", clips.feature_map.detach(), sensitivity)
    similarity = (embedding * other).sum(dim=1)
    return SimilarityMaps(
        values=values,
        offset=similarity - values.mean(dim=(1, 2, 3)),
        similarity=similarity,
        norm_product=(embedding.norm(dim=1) * other.norm(dim=1)).clamp_min(SMALLEST_NORM),
    )


def _sensitivity(
    head: nn.Module, pooled: Float[Tensor, "batch feature"], other: Float[Tensor, "batch embedding"]
) -> Float[Tensor, "batch feature"]:
    """The gradient of other . head(pooled) with respect to each pooled feature."""
    with torch.enable_grad():
        pooled = pooled.detach().requires_grad_()
        # A map of one position is its own pooled feature: heads take maps.
        similarity = (head(pooled[:, :, None, None, None]) * other).sum()
        (gradient,) = torch.autograd.grad(similarity, pooled)
    return gradient
