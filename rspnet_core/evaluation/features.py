"""One vector a video from a frozen encoder."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import VideoEncoder, pool
from rspnet_core.evaluation.retrieval_protocol import Pooling


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Eval mode and no gradient inside; each submodule gets its own mode back after, also when something
    raises."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def embed_videos(
    encoder: VideoEncoder,
    clips: Float[Tensor, "batch num_clips channel time height width"],
    pooling: Pooling,
) -> Float[Tensor, "batch feature"]:
    """The mean over each video's clips of their pooled feature maps, float32, not normalised.

    All clips go through the encoder at once: the caller sizes the batch.
    """
    features = embed_clips(encoder, clips.flatten(0, 1), (pooling,))[pooling]
    return features.unflatten(0, clips.shape[:2]).mean(dim=1)


def embed_clips(
    encoder: VideoEncoder, clips: Float[Tensor, "clips channel time height width"], poolings: Sequence[Pooling]
) -> dict[Pooling, Float[Tensor, "clips _"]]:
    """Each clip's feature map, pooled in each way, from one forward pass in eval mode; float32."""
    with evaluating(encoder):
        feature_maps = encoder(clips).float()
    return {pooling: pool_map(feature_maps, pooling) for pooling in poolings}


def pool_map(
    feature_map: Float[Tensor, "batch feature map_time map_height map_width"], pooling: Pooling
) -> Float[Tensor, "batch _"]:
    """ "spatial_max" (RSPNet's supplement): maximum over height and width, mean over time. "average": mean
    over all. "max_2x2_flattened" (VCOP's script): `pool_tiles`, flattened."""
    if pooling == "average":
        return pool(feature_map)
    if pooling == "max_2x2_flattened":
        return pool_tiles(feature_map).flatten(1)
    return feature_map.amax(dim=(3, 4)).mean(dim=2)


def pool_tiles(
    feature_map: Float[Tensor, "batch feature map_time map_height map_width"],
) -> Float[Tensor, "batch feature map_time tile_rows tile_columns"]:
    """The maximum of each tile of 2 x 2 positions; an odd last row or column is dropped, as published (7 x 7 gives
    3 x 3), but a map that is one position high or wide keeps it."""
    height, width = feature_map.shape[3:]
    return F.max_pool3d(feature_map, (1, min(2, height), min(2, width)))
