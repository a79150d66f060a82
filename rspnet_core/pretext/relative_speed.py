"""RSP alone: relative speed perception, the first of RSPNet's tasks, for two speeds or more.

Peihao Chen et al., AAAI 2021, https://arxiv.org/abs/2011.07949, eq. 2; symbols as in `rspnet`. Clips of one video at
the same playback speed lie closer than clips at different speeds. With two speeds, one double
the other, this is `rspnet` with `instance_weight` 0, without the head and the queue that would then do nothing. With
more it is an extension of ours: clips nearer in speed lie closer, by a margin for each doubling
(`losses.ordered_speed_ranking`).

Asks for the clips of `SpeedListSampler`: an anchor, then a key at each speed, so ordered that each place holds all
speeds over a batch. Each place passes the network by itself, as in `rspnet`.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from rspnet_core.distributed import run_shuffled
from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.momentum_encoder import MomentumEncoder
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.encoders.video_encoder import pool
from rspnet_core.losses.ordered_speed_ranking import ordered_speed_ranking
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.relative_speed_config import RelativeSpeedConfig
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.sampling.speed_lists import ANCHOR


class RelativeSpeed(PretextTask):
    """An anchor and a key at each speed of a list, of each video."""

    def __init__(self, config: RelativeSpeedConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.head = ProjectionHead(
            feature_dim=self.encoder.feature_dim, embedding_dim=config.embedding_dim, kind=config.head
        )
        self.has_momentum = config.key_network == "momentum"
        if self.has_momentum:
            self.key_encoder = MomentumEncoder(self.encoder)
            self.key_head = MomentumEncoder(self.head)

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:
        places = range(ANCHOR + 1, batch.clips.shape[1])
        keys = [self._keys(batch.clips[:, place], context, f"key/{place}") for place in places]
        feature_map = self.encoder(batch.clips[:, ANCHOR])
        ranking = ordered_speed_ranking(
            F.normalize(self.head(feature_map).float(), dim=1),
            torch.stack(keys, dim=1),
            batch.playback_speeds[:, ANCHOR],
            batch.playback_speeds[:, ANCHOR + 1 :],
            self.config.ranking_margin,
        )
        loss = ranking.loss.mean()
        return PretextOutput(
            loss=self.config.ranking_weight * loss,
            metrics={
                "speed_ranking/loss": loss.detach(),
                "speed_ranking/accuracy": ranking.accuracy,
                "feature_std": feature_std(pool(feature_map)),
            },
        )

    def after_step(self) -> None:
        if self.has_momentum:
            self.key_encoder.follow(self.encoder, self.config.key_momentum)
            self.key_head.follow(self.head, self.config.key_momentum)

    def _keys(
        self, clips: Float[Tensor, "batch channel time height width"], context: StepContext, purpose: str
    ) -> Float[Tensor, "batch embedding"]:
        if not self.has_momentum:
            return F.normalize(self.head(self.encoder(clips)).float(), dim=1)
        if not self.config.shuffle_batch_norm:
            return self._momentum_keys(clips)
        return run_shuffled(self._momentum_keys, clips, seed=context.seed, step=context.step, purpose=purpose)

    @torch.no_grad()
    def _momentum_keys(
        self, clips: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch embedding"]:
        return F.normalize(self.key_head(self.key_encoder(clips)).float(), dim=1)
