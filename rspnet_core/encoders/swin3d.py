"""torchvision's Video Swin Transformers (arXiv 2106.13230) as encoders: the last stage's tokens, after the last
layer norm, as a map.

On purpose not as published:
- A window that is larger than the map shrinks to it. torchvision (and the authors' code) then look up the bias of
  relative positions as if the window had kept its height and width, which mixes positions up: in the last stage
  for clips under 193 pixels a side. Here each pair of positions keeps its own bias; at 224 pixels both agree.
- No stochastic depth (0.1 in supervised recipes): it draws from the global generator and would make a momentum
  copy's keys random.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import video
from torchvision.models.swin_transformer import SwinTransformerBlock
from torchvision.models.video.swin_transformer import ShiftedWindowAttention3d, SwinTransformer3d
from torchvision.ops import StochasticDepth

from rspnet_core.encoders.video_encoder import VideoEncoder


class WindowAttention(ShiftedWindowAttention3d):
    """Looks up the right biases for a window that shrank."""

    def get_relative_position_bias(self, window_size: list[int]) -> Float[Tensor, "1 head query key"]:
        time, height, width = window_size
        index = self.get_buffer("relative_position_index").unflatten(0, self.window_size)
        index = index.unflatten(3, self.window_size)
        pairs = index[:time, :height, :width, :time, :height, :width].flatten(3).flatten(0, 2)
        return self.relative_position_bias_table[pairs].permute(2, 0, 1)[None]


def _block(*args: Any, attn_layer: type[nn.Module], **kwargs: Any) -> SwinTransformerBlock:
    """torchvision's block, whose attention `SwinTransformer3d` insists on naming."""
    assert attn_layer is ShiftedWindowAttention3d
    return SwinTransformerBlock(*args, attn_layer=WindowAttention, **kwargs)


class VideoSwinTransformer(VideoEncoder):
    """32 x 224 x 224 -> feature_dim x 16 x 7 x 7; the parameters have torchvision's names and initialisation.
    Clips are padded with zeros to whole patches of 2 x 4 x 4."""

    min_num_frames = 2
    min_side = 4

    def __init__(self, network: SwinTransformer3d) -> None:
        super().__init__()
        self.feature_dim = network.num_features
        self.patch_embed = network.patch_embed
        self.features = network.features
        self.norm = network.norm
        for module in self.features.modules():
            if isinstance(module, StochasticDepth):
                module.p = 0.0

    def feature_map(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch feature map_time map_height map_width"]:
        return self.norm(self.features(self.patch_embed(clips))).permute(0, 4, 1, 2, 3)


def swin3d_t() -> VideoSwinTransformer:
    """27,850,470 parameters; 768 features."""
    return VideoSwinTransformer(video.swin3d_t(block=_block))


def swin3d_s() -> VideoSwinTransformer:
    """49,509,078 parameters; 768 features."""
    return VideoSwinTransformer(video.swin3d_s(block=_block))


def swin3d_b() -> VideoSwinTransformer:
    """87,638,984 parameters; 1024 features."""
    return VideoSwinTransformer(video.swin3d_b(block=_block))
