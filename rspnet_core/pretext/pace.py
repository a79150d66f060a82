"""Pace: which of several playback paces a clip is shown at, and, as an option, which clips are of one video.

Wang et al., "Self-supervised Video Representation Learning by Pace Prediction", ECCV 2020,
https://arxiv.org/abs/2008.05861, and the published code (video-pace).

| paper | here |
|---|---|
| p, the pace; r candidates | `labels`, places in `clips.speeds` |
| L_cls (eq. 1) | cross entropy of `classifier` |
| L_ctr, same context (eq. 2) | NT-Xent between two clips of a video, `contrast_weight` above 0 |
| lambda_cls, lambda_ctr | 1, `contrast_weight` |

The contrastive branch is not in the published code, and its weight of 0.1 is from memory of the paper: a field, 0 by
default. Its negatives come from the batch (SimCLR-like, as the author wrote); that its head is one Linear, its
`embedding_dim` and `temperature` are ours. The paper's other branch, "same pace", is not built.

Deviations on purpose: colours of 0 to 255 in the order red, green, blue instead of blue, green, red; the jitter leads
towards each frame's own mean, as there, but is not clamped (see `augmentation`).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from rspnet_core.encoders import build_encoder
from rspnet_core.losses.nt_xent import nt_xent
from rspnet_core.pretext.clip_features import clip_features
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.pace_config import PaceConfig
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, Requirements, StepContext


class Pace(PretextTask):
    """`labels` holds a pace for each clip."""

    def __init__(self, config: PaceConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.classifier = nn.Linear(self.encoder.feature_dim, len(config.clips.speeds))
        if config.contrast_weight > 0:
            self.head = nn.Linear(self.encoder.feature_dim, config.embedding_dim)

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        features = clip_features(self.encoder, batch.clips)
        logits = self.classifier(features).flatten(0, 1).float()
        labels = batch.labels.flatten()
        loss = F.cross_entropy(logits, labels)
        metrics: dict[str, Tensor] = {
            "pace/loss": loss.detach(),
            "pace/accuracy": (logits.argmax(dim=1) == labels).float().mean(),
            "feature_std": feature_std(features.flatten(0, 1)),
        }
        if self.config.contrast_weight > 0:
            contrast = nt_xent(self.head(features).transpose(0, 1), self.config.temperature)
            loss = loss + self.config.contrast_weight * contrast.loss
            metrics |= {"instance/loss": contrast.loss.detach(), "instance/top1": contrast.top1}
        return PretextOutput(loss=loss, metrics=metrics)

    def requirements(self) -> Requirements:
        if self.config.contrast_weight == 0:
            return Requirements()
        return Requirements(
            min_num_videos=2,
            min_global_batch_size=2,
            needs_whole_batch=True,
            videos_reason="a video is told from other videos",
            batch_reason="the negatives are the other videos of the batch",
        )
