"""SpeedNet: is a clip shown at normal speed, or faster?

Benaim et al., "SpeedNet: Learning the Speediness in Videos", CVPR 2020, https://arxiv.org/abs/2004.06130. There is no
official code; what is not in secondary summaries is marked below.

| paper | here |
|---|---|
| both versions of one segment in one batch | the two clips of `SpeedClassSampler` |
| spatial augmentation by random resizing | `view`'s crop: another part at another size each time |
| g, S3D-G without temporal strides | `encoder` "s3dg_full_time" |
| global max over space, then mean over time | `pool_speediness` |
| cross entropy | of two classes, by `classifier` |

From memory, and therefore fields: 64 frames, the ranges of skips, 64 to 336 pixels (a part of 4 % at the least). The
flip and the normalisation are ours.

Deviation on purpose: the paper feeds pictures of any size; here a random part of a picture is resized to one size, so
that batches hold clips of one shape.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.video_encoder import pool
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.speednet_config import SpeedNetConfig
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext


class SpeedNet(PretextTask):
    """`labels` holds a class for each clip."""

    def __init__(self, config: SpeedNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.classifier = nn.Linear(self.encoder.feature_dim, 2)

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        feature_map = self.encoder(batch.clips.flatten(0, 1))
        logits = self.classifier(pool_speediness(feature_map)).float()
        labels = batch.labels.flatten()
        loss = F.cross_entropy(logits, labels)
        return PretextOutput(
            loss=loss,
            metrics={
                "speed/loss": loss.detach(),
                "speed/accuracy": (logits.argmax(dim=1) == labels).float().mean(),
                "feature_std": feature_std(pool(feature_map)),
            },
        )


def pool_speediness(
    feature_map: Float[Tensor, "batch feature map_time map_height map_width"],
) -> Float[Tensor, "batch feature"]:
    """The maximum over space, then the mean over time: something may move fast in one corner alone."""
    return feature_map.amax(dim=(3, 4)).mean(dim=2)
