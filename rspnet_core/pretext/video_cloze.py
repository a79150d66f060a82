"""Video cloze: what was done to the middle one of three clips?

Luo et al., "Video Cloze Procedure for Self-Supervised Spatio-Temporal Learning" (VCP), AAAI 2020,
https://arxiv.org/abs/2001.00294. No official code was found: the operations are the abstract's, their details those of
unofficial code (see `ClipClozeSampler`).

| paper | here |
|---|---|
| the blank and its options | the middle clip, and the five classes of `sampling.clip_cloze.OPERATIONS` |
| spatial rotation and permutation | `pixel_moves`, on the device |
| temporal shuffling and remote clip | in the plan's frame indices |
| f, then a fully connected layer | `encoder`, pooled; `classifier` over the three clips' features |

`classifier_kind`: "concatenated", one Linear (PCL's), or "pairwise", VCOP's (another unofficial code's).
"""

import torch.nn.functional as F
from torch import nn

from rspnet_core.encoders import build_encoder
from rspnet_core.pretext.clip_features import clip_features
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.pairwise_classifier import PairwiseClassifier
from rspnet_core.pretext.pixel_moves import move_pixels
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.pretext.video_cloze_config import VideoClozeConfig
from rspnet_core.sampling.clip_cloze import MIDDLE, OPERATIONS


class VideoCloze(PretextTask):
    """`labels` holds the operation, which is the class, and its variant."""

    def __init__(self, config: VideoClozeConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        feature_dim, num_clips = self.encoder.feature_dim, config.clips.num_clips
        if config.classifier_kind == "pairwise":
            self.classifier: nn.Module = PairwiseClassifier(
                feature_dim=feature_dim, num_clips=num_clips, num_classes=len(OPERATIONS), pair_dim=512, dropout=0.5
            )
        else:
            self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(num_clips * feature_dim, len(OPERATIONS)))

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        operation, variant = batch.labels.unbind(dim=1)
        clips = batch.clips.clone()
        clips[:, MIDDLE] = move_pixels(clips[:, MIDDLE], operation, variant)
        features = clip_features(self.encoder, clips)
        logits = self.classifier(features).float()
        loss = F.cross_entropy(logits, operation)
        return PretextOutput(
            loss=loss,
            metrics={
                "cloze/loss": loss.detach(),
                "cloze/accuracy": (logits.argmax(dim=1) == operation).float().mean(),
                "feature_std": feature_std(features.flatten(0, 1)),
            },
        )
