"""Encoders by name. A new one is a file and a line here; the dict holds import paths, so that listing costs
no torch."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rspnet_core.encoders.video_encoder import VideoEncoder

ENCODERS = {
    "tiny": "rspnet_core.encoders.tiny:TinyEncoder",
    "c3d": "rspnet_core.encoders.c3d:C3D",
    "r3d_18": "rspnet_core.encoders.resnet3d:r3d_18",
    "r3d_10": "rspnet_core.encoders.resnet3d:r3d_10",
    "r2plus1d_10": "rspnet_core.encoders.resnet3d:r2plus1d_10",
    "torchvision_r3d_18": "rspnet_core.encoders.torchvision_resnets:torchvision_r3d_18",
    "mc3_18": "rspnet_core.encoders.torchvision_resnets:mc3_18",
    "r2plus1d_18": "rspnet_core.encoders.torchvision_resnets:r2plus1d_18",
    "s3dg": "rspnet_core.encoders.s3dg:s3dg",
    "s3dg_rspnet": "rspnet_core.encoders.s3dg:s3dg_rspnet",
    "s3dg_full_time": "rspnet_core.encoders.s3dg:s3dg_full_time",
    "r3d_50": "rspnet_core.encoders.bottleneck_resnet3d:r3d_50",
    "r3d_50_2x": "rspnet_core.encoders.bottleneck_resnet3d:r3d_50_2x",
    "r3d_50_4x": "rspnet_core.encoders.bottleneck_resnet3d:r3d_50_4x",
    "r3d_101": "rspnet_core.encoders.bottleneck_resnet3d:r3d_101",
    "r3d_152": "rspnet_core.encoders.bottleneck_resnet3d:r3d_152",
    "r3d_152_2x": "rspnet_core.encoders.bottleneck_resnet3d:r3d_152_2x",
    "slow_r50": "rspnet_core.encoders.bottleneck_resnet3d:slow_r50",
    "mvit_v1_b": "rspnet_core.encoders.mvit:mvit_v1_b",
    "mvit_v2_s": "rspnet_core.encoders.mvit:mvit_v2_s",
    "swin3d_t": "rspnet_core.encoders.swin3d:swin3d_t",
    "swin3d_s": "rspnet_core.encoders.swin3d:swin3d_s",
    "swin3d_b": "rspnet_core.encoders.swin3d:swin3d_b",
}


def build_encoder(name: str) -> "VideoEncoder":
    """A freshly initialised encoder. Draws from torch's global generator: seed it, or fork it, around the
    call."""
    check_encoder_name(name)
    return resolve_name(ENCODERS[name])()


def check_encoder_name(name: str) -> None:
    """Raises ValueError for an encoder that does not exist."""
    if name not in ENCODERS:
        raise ValueError(f"encoder is {name!r}; accepted are {', '.join(sorted(ENCODERS))}")
