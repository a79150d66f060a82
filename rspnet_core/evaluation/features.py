"""One vector a video from a frozen encoder."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
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
    with evaluating(encoder):
        feature_maps = encoder(clips.flatten(0, 1)).float()
    return pool_map(feature_maps, pooling).unflatten(0, clips.shape[:2]).mean(dim=1)


def pool_map(
    feature_map: Float[Tensor, "batch feature map_time map_height map_width"], pooling: Pooling
) -> Float[Tensor, "batch feature"]:
    """ "spatial_max" (RSPNet's supplement): maximum over height and width, mean over time. "average": mean
    over all."""
    if pooling == "average":
        return pool(feature_map)
    return feature_map.amax(dim=(3, 4)).mean(dim=2)
