"""OPN: in which order were these single frames?

Lee et al., "Unsupervised Representation Learning by Sorting Sequences", ICCV 2017,
https://arxiv.org/abs/1708.01246, and the published code.

| paper | here |
|---|---|
| four shuffled frames; order and reverse are one of 12 classes | `FrameOrderSampler` |
| channel splitting | one colour channel of each frame in place of all three, `splits_channels` |
| spatial jitter of each frame | a shift by up to `max_shift_pixels`, edges repeated |
| pairwise feature extraction | `PairwiseClassifier`, without the paper's fc6 of 1,024 before it |

Deviations on purpose: frames are not mined by motion (see `FrameOrderSampler`); the encoder is one of ours on clips of
one frame instead of a CaffeNet, so that it must accept such clips (`min_num_frames` 1); the mean of 96.5 that the code
subtracts is left to batch norm.
"""

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from rspnet_core.encoders import build_encoder
from rspnet_core.pretext.clip_features import clip_features
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.frame_order_config import FrameOrderConfig
from rspnet_core.pretext.pairwise_classifier import PairwiseClassifier
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.random_streams import random_stream

Clips = Float[Tensor, "batch num_clips channel time height width"]


class FrameOrder(PretextTask):
    """`labels` holds the place of the order in `order_classes`."""

    def __init__(self, config: FrameOrderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.classifier = PairwiseClassifier(
            feature_dim=self.encoder.feature_dim,
            num_clips=config.clips.num_clips,
            num_classes=config.clips.num_classes,
            pair_dim=config.pair_dim,
            dropout=config.dropout,
        )

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:
        clips = self._disguised(batch, context) if self.training else batch.clips
        features = clip_features(self.encoder, clips)
        logits, labels = self.classifier(features).float(), batch.labels[:, 0]
        loss = F.cross_entropy(logits, labels)
        return PretextOutput(
            loss=loss,
            metrics={
                "order/loss": loss.detach(),
                "order/accuracy": (logits.argmax(dim=1) == labels).float().mean(),
                "feature_std": feature_std(features.flatten(0, 1)),
            },
        )

    def _disguised(self, batch: PretextBatch, context: StepContext) -> Clips:
        """What could tell the order without looking at content is taken away; each video draws by itself."""
        drawn = [self._draw(context, video_index) for video_index in batch.video_index.tolist()]
        channels, shifts = (
            torch.from_numpy(np.stack(part)).to(batch.clips.device) for part in zip(*drawn, strict=True)
        )
        clips = shift_pictures(batch.clips, shifts)
        return take_channels(clips, channels) if self.config.splits_channels else clips

    def _draw(self, context: StepContext, video_index: int) -> tuple[np.ndarray, np.ndarray]:
        """The channel of each frame [num_clips], and its shift (down, right) [num_clips, 2]."""
        generator = random_stream(context.seed, context.step, video_index, "frame_order")
        num_clips, farthest = self.config.clips.num_clips, self.config.max_shift_pixels
        return (
            generator.integers(3, size=num_clips),
            generator.integers(-farthest, farthest, size=(num_clips, 2), endpoint=True),
        )


def take_channels(clips: Clips, channels: Int64[Tensor, "batch num_clips"]) -> Clips:
    """Each clip's one channel in place of all three."""
    index = channels[:, :, None, None, None, None].expand(-1, -1, 1, *clips.shape[3:])
    return clips.gather(2, index).expand_as(clips)


def shift_pictures(clips: Clips, shifts: Int64[Tensor, "batch num_clips 2"]) -> Clips:
    """Each clip moved (down, right) by its pixels; what comes in is its edge, repeated."""
    height, width = clips.shape[-2:]
    rows = torch.arange(height, device=clips.device) - shifts[..., :1]
    columns = torch.arange(width, device=clips.device) - shifts[..., 1:]
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    places = (rows[..., :, None] * width + columns[..., None, :]).flatten(2)[:, :, None, None]
    pixels = clips.flatten(4)
    return pixels.gather(4, places.expand(-1, -1, *pixels.shape[2:4], -1)).reshape(clips.shape)
