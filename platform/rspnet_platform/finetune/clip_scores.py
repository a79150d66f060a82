"""What classifiers make of clips: the mean softmax over a video's clips and crops; needs no Ray."""

from collections.abc import Mapping

import torch

from rspnet_core.augmentation import to_clips
from rspnet_core.normalisation import NormalisationName
from rspnet_core.recognition.recognition import Recognition

MAX_CLIPS_AT_ONCE = 16
"""In the network, and as float colours: a video has up to 30 of them."""


@torch.no_grad()
def score_clips(
    networks: Mapping[str, Recognition],
    planes: torch.Tensor,
    view_numbers: torch.Tensor,
    normalisation: NormalisationName,
    device: torch.device,
) -> dict[str, torch.Tensor]:
    """Each network's mean softmax over the clips and crops of each video: float32 [num_videos, num_classes], on the
    CPU. `planes` and `view_numbers` are as in `ClipBatch`. The networks are in evaluation mode."""
    num_videos, num_clips = planes.shape[:2]
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in networks}
    pairs = zip(*(whole.flatten(0, 1).split(MAX_CLIPS_AT_ONCE) for whole in (planes, view_numbers)), strict=True)
    for some_planes, some_numbers in pairs:
        clips = to_clips(some_planes[:, None].to(device), some_numbers[:, None].to(device), normalisation)[:, 0]
        for name, network in networks.items():
            parts[name].append(network.probabilities(clips).cpu())
    return {name: torch.cat(of).unflatten(0, (num_videos, num_clips)).mean(dim=1) for name, of in parts.items()}
