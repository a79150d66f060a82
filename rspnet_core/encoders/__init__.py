"""Encoders by name. A new one is a file and a line here; the dict holds import paths, so that listing costs
no torch."""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rspnet_core.encoders.video_encoder import VideoEncoder

ENCODERS = {
    "tiny": "rspnet_core.encoders.tiny:TinyEncoder",
    "r3d_18": "rspnet_core.encoders.resnet3d:resnet3d_18",
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
