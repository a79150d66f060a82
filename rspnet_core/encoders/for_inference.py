"""A frozen encoder in the form that the CPU computes fastest: the same function, up to rounding."""

from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rspnet_core.encoders.video_encoder import VideoEncoder


def for_inference(encoder: VideoEncoder) -> VideoEncoder:
    """A copy in eval mode, channels last, with each batch norm folded into the convolution that it follows in an
    `nn.Sequential`. Features agree to about 1e-6 of their size. Measured with the tiny encoder on one core of an AMD
    EPYC: 0.66 of the time; either of the two changes alone brings less than a tenth."""
    copy: Any = deepcopy(encoder).eval()
    for parent in list(copy.modules()):
        if isinstance(parent, nn.Sequential):
            fold_batch_norms(parent)
    return copy.to(memory_format=torch.channels_last_3d)


def fold_batch_norms(blocks: nn.Sequential) -> None:
    """In place. A batch norm leaves an Identity behind, so that the others keep their places."""
    for index in range(len(blocks) - 1):
        convolution, norm = blocks[index], blocks[index + 1]
        if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d) and norm.track_running_stats:
            blocks[index], blocks[index + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
