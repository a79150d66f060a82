"""VCOP: in which order were these clips?

Xu et al., "Self-supervised Spatiotemporal Learning via Video Clip Order Prediction", CVPR 2019, and the published code.

| paper | here |
|---|---|
| c_1 ... c_n, shuffled | the clips of `ClipOrderSampler` |
| f_i, features of a clip | `encoder`, pooled |
| h_k = ReLU(W [f_i, f_j] + b) over all pairs | `PairwiseClassifier` |
| a = softmax(...), n! classes | its logits |

Each clip has its own crop, as in the published code, and no other augmentation. Its tables are of encoders with ten
layers ("r3d_10", "r2plus1d_10") and of "c3d".
"""

import torch.nn.functional as F

from rspnet_core.encoders import build_encoder
from rspnet_core.pretext.clip_features import clip_features
from rspnet_core.pretext.clip_order_config import ClipOrderConfig
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.pairwise_classifier import PairwiseClassifier
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext


class ClipOrder(PretextTask):
    """`labels` holds the place of the permutation in lexicographic order."""

    def __init__(self, config: ClipOrderConfig) -> None:
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

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        features = clip_features(self.encoder, batch.clips)
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
