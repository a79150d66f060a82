"""A batch as it arrives on a training worker: planes of uint8 pixels and a few numbers a clip."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ClipBatch:
    """I420 planes stacked in rows: for a crop of S x S pixels, S rows of luma, then S/4 rows of U and S/4 of
    V.

    `view_numbers` are in the order of `rspnet_core.sampling.views.VIEW_NUMBERS`; `labels` are the plan's, one 0 where
    it has none.
    """

    planes: UInt8[Tensor, "batch num_clips time plane_rows width"]
    view_numbers: Float[Tensor, "batch num_clips time view_numbers"]
    playback_speeds: Float[Tensor, "batch num_clips"]
    labels: Int64[Tensor, "batch num_labels"]
    video_index: Int64[Tensor, " batch"]
    epoch: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.video_index)

    def to(self, device: torch.device) -> "ClipBatch":
        return ClipBatch(**{name: tensor.to(device, non_blocking=True) for name, tensor in vars(self).items()})
