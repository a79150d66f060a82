"""All clips of a batch through one encoder at once."""

from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import pool

Clips = Float[Tensor, "batch num_clips channel time height width"]


def clip_features(encoder: nn.Module, clips: Clips) -> Float[Tensor, "batch num_clips feature"]:
    """The pooled features of each clip; batch norm sees the clips of all places together."""
    return pool(encoder(clips.flatten(0, 1))).unflatten(0, clips.shape[:2])
