"""torchvision's Multiscale Vision Transformers, v1 (arXiv 2104.11227) and v2 (arXiv 2112.01526), as encoders: the
last block's tokens, after the last layer norm, laid out as a map.

On purpose not as published:
- The class token takes part in attention and is dropped from the map, so that features are averages of patches
  as everywhere else here; the published classifier reads the class token alone.
- Clips of any size: v1's learned positions are interpolated (bicubic in space, linear in time), v2's relative
  ones by torchvision itself. At 16 x 224 x 224 nothing is interpolated.
- No stochastic depth (0.2 in supervised recipes): it draws from the global generator and would make a momentum
  copy's keys random.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torchvision.models import video
from torchvision.models.video.mvit import MViT, PositionalEncoding

from rspnet_core.encoders.convolutions import Size
from rspnet_core.encoders.video_encoder import VideoEncoder


class MultiscaleTransformer(VideoEncoder):
    """16 x 224 x 224 -> 768 x 8 x 7 x 7; the parameters have torchvision's names and initialisation."""

    feature_dim = 768
    min_num_frames = 2
    min_side = 4

    def __init__(self, network: MViT) -> None:
        super().__init__()
        self.conv_proj = network.conv_proj
        self.pos_encoding = network.pos_encoding
        self.blocks = network.blocks
        self.norm = network.norm

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        patches = self.conv_proj(clips)
        time, height, width = patches.shape[2:]
        size = (time, height, width)
        tokens = _with_positions(self.pos_encoding, patches.flatten(2).transpose(1, 2), size)
        for block in self.blocks:
            tokens, size = block(tokens, size)
        return self.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, size)


def _with_positions(
    encoding: PositionalEncoding, tokens: Float[Tensor, "batch patch feature"], size: Size
) -> Float[Tensor, "batch class_and_patch feature"]:
    """The class token first, and to all of them their learned positions where the network has such (v1)."""
    class_token = encoding.class_token.expand(len(tokens), 1, -1)
    tokens = torch.cat((class_token, tokens), dim=1)
    if encoding.spatial_pos is None or encoding.temporal_pos is None or encoding.class_pos is None:
        return tokens
    in_time = _resized_in_time(encoding.temporal_pos, size[0])
    in_space = _resized_in_space(encoding.spatial_pos, encoding.spatial_size, (size[1], size[2]))
    positions = (in_time[:, None] + in_space[None]).flatten(0, 1)
    return tokens + torch.cat((encoding.class_pos[None], positions))


def _resized_in_time(positions: Float[Tensor, "time feature"], time: int) -> Float[Tensor, "new_time feature"]:
    if len(positions) == time:
        return positions
    return functional.interpolate(positions.T[None], size=time, mode="linear")[0].T


def _resized_in_space(
    positions: Float[Tensor, "place feature"], size: tuple[int, int], new_size: tuple[int, int]
) -> Float[Tensor, "new_place feature"]:
    if size == new_size:
        return positions
    picture = positions.T.unflatten(1, size)[None]
    return functional.interpolate(picture, size=new_size, mode="bicubic")[0].flatten(1).T


def mvit_v1_b() -> MultiscaleTransformer:
    """36,303,072 parameters."""
    return MultiscaleTransformer(video.mvit_v1_b(stochastic_depth_prob=0.0))


def mvit_v2_s() -> MultiscaleTransformer:
    """34,230,144 parameters."""
    return MultiscaleTransformer(video.mvit_v2_s(stochastic_depth_prob=0.0))
