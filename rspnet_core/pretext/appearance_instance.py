"""A-VID alone: appearance-focused video instance discrimination, the second of RSPNet's tasks.

Peihao Chen et al., AAAI 2021, https://arxiv.org/abs/2011.07949, eq. 3; symbols as in `rspnet`. A query finds clips of
its own video, at its own and at another playback speed, among clips of other videos: what speed changes cannot help, so
that appearance has to. Equals `rspnet` with `ranking_weight` 0, without the head that would then learn nothing.
"""

import torch

from rspnet_core.encoders.video_encoder import pool
from rspnet_core.pretext.appearance_instance_config import AppearanceInstanceConfig
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.momentum_contrast import MomentumContrast
from rspnet_core.pretext.task import PretextBatch, PretextOutput, StepContext
from rspnet_core.sampling.speed_pairs import OTHER_SPEED, QUERY, SAME_SPEED


class AppearanceInstance(MomentumContrast):
    """Three clips a video, in the order of `SpeedPairSampler`'s plan."""

    def __init__(self, config: AppearanceInstanceConfig) -> None:
        super().__init__(config)
        self.config = config

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:
        keys = {
            "other_speed": self.unit_keys(batch.clips[:, OTHER_SPEED], context, "other_speed_key"),
            "same_speed": self.unit_keys(batch.clips[:, SAME_SPEED], context, "same_speed_key"),
        }
        feature_map = self.encoder(batch.clips[:, QUERY])
        query = self.unit_query(feature_map)
        chosen = self.config.instance_positives
        positives = [keys["same_speed"], keys["other_speed"]] if chosen == "both" else [keys[chosen]]
        terms = [self.discriminate(query, positive, batch.video_index) for positive in positives]
        loss = torch.stack([term.loss.mean() for term in terms]).sum()
        step_keys = self.will_enqueue(keys[self.config.enqueued_keys], batch.video_index, context)
        return PretextOutput(
            loss=loss,
            metrics={
                "instance/loss": loss.detach(),
                "instance/top1": torch.stack([term.top1 for term in terms]).mean(),
                "instance/top1_own_batch": step_keys.top1(query, positives, batch.video_index),
                "feature_std": feature_std(pool(feature_map)),
            },
        )
