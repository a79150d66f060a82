"""RSPNet: relative speed perception (RSP) and appearance-focused video instance discrimination (A-VID).

Peihao Chen et al., AAAI 2021, https://arxiv.org/abs/2011.07949. Asks for three clips of a video, as
`SpeedPairSampler` plans them, a global batch no larger than the queue, and more videos than can be confused
(`requirements`).

| paper | here |
|---|---|
| c_i, c_j at one speed, c_k at another | `clips[:, QUERY]`, `[:, SAME_SPEED]`, `[:, OTHER_SPEED]` |
| f, the 3-D network | `encoder`; of the keys `key_encoder` (momentum copy) |
| g_m, the head of RSP | `speed_head`, `key_speed_head` |
| g_a, the head of A-VID | `instance_head`, `key_instance_head` |
| L_m = max(0, gamma - (d(i, j) - d(i, k))) (eq. 2), gamma | `losses.speed_ranking`, `ranking_margin` |
| L_a = -log(e^(d+/tau) / (e^(d+/tau) + sum_n e^(d_n/tau))) (eq. 3), tau | `losses.info_nce`, `temperature` |
| {c_n}, clips of other videos | `queue` |
| the sum of both losses | `ranking_weight` L_m + `instance_weight` (sum of L_a over the positives) |

Deviations on purpose, from the published code where it and the paper differ (reasons in `RSPNetConfig`):

- The hinge is in cosine units; the published code's division by tau is in the defaults of margin and weight.
- Which keys are positives of A-VID and which is enqueued are settings; the defaults are the published code's.
- The queue's keys of a query's own video are no negatives (`mask_same_video`).
- Keys are enqueued after the optimizer step instead of inside the forward pass, and the momentum update is
  made there instead of at the start of the next forward: the same numbers, but a forward pass for validation
  leaves no trace in the queue.
- The permutation of shuffled batch norm comes from (seed, step, clip) on every worker instead of a broadcast.
- "instance/top1" counts all configured positives; the published code logs the same-speed one alone.
- The encoder carries no unused classifier, so that every parameter takes part in the loss.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from rspnet_core.distributed import run_shuffled
from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.momentum_encoder import MomentumEncoder
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.encoders.video_encoder import pool
from rspnet_core.feature_queue import FeatureQueue
from rspnet_core.losses.info_nce import InfoNCEResult, info_nce
from rspnet_core.losses.speed_ranking import speed_ranking
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.step_keys import StepKeys, joined
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, Requirements, StepContext
from rspnet_core.sampling.speed_pairs import OTHER_SPEED, QUERY, SAME_SPEED

Clips = Float[Tensor, "batch channel time height width"]
Embeddings = Float[Tensor, "batch 2 embedding"]
INSTANCE, SPEED = range(2)
"""The heads' places in `Embeddings`."""


class RSPNet(PretextTask):
    """Loss and metrics are this worker's: with equal batches their mean over workers is the global batch's.

    Wrap in DistributedDataParallel with `broadcast_buffers=False`: the queue is the same on all workers by
    itself, and sending it with every step is waste.
    """

    def __init__(self, config: RSPNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.instance_head = self._build_head()
        self.speed_head = self._build_head()
        self.key_encoder = MomentumEncoder(self.encoder)
        self.key_instance_head = MomentumEncoder(self.instance_head)
        self.key_speed_head = MomentumEncoder(self.speed_head)
        self.queue = FeatureQueue(queue_size=config.queue_size, embedding_dim=config.embedding_dim)
        self._to_enqueue: list[StepKeys] = []

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:
        """Three clips a video, in the order of `SpeedPairSampler`'s plan."""
        other_speed = self._keys(batch.clips[:, OTHER_SPEED], context, "other_speed_key")
        same_speed = self._keys(batch.clips[:, SAME_SPEED], context, "same_speed_key")
        feature_map = self.encoder(batch.clips[:, QUERY])
        query = unit_embeddings(self.instance_head(feature_map), self.speed_head(feature_map))

        ranking = speed_ranking(
            query[:, SPEED], same_speed[:, SPEED], other_speed[:, SPEED], self.config.ranking_margin
        )
        keys = {"other_speed": other_speed[:, INSTANCE], "same_speed": same_speed[:, INSTANCE]}
        chosen = self.config.instance_positives
        positives = [keys["same_speed"], keys["other_speed"]] if chosen == "both" else [keys[chosen]]
        instance = self._discriminate(query[:, INSTANCE], positives, batch.video_index)
        ranking_loss = ranking.loss.mean()
        instance_loss = torch.stack([term.loss.mean() for term in instance]).sum()
        step_keys = StepKeys.gather(keys[self.config.enqueued_keys], batch.video_index)
        if torch.is_grad_enabled():  # a validation leaves no trace
            self._to_enqueue.append(step_keys)
        return PretextOutput(
            loss=self.config.ranking_weight * ranking_loss + self.config.instance_weight * instance_loss,
            metrics={
                "speed_ranking/loss": ranking_loss.detach(),
                "speed_ranking/accuracy": ranking.accuracy,
                "instance/loss": instance_loss.detach(),
                "instance/top1": torch.stack([term.top1 for term in instance]).mean(),
                "instance/top1_own_batch": step_keys.top1(query[:, INSTANCE], positives, batch.video_index),
                "feature_std": feature_std(pool(feature_map)),
            },
        )

    def after_step(self) -> None:
        """Enqueues the step's keys, from all workers in the order of their ranks, and moves the key networks."""
        assert self._to_enqueue, "after_step without a forward"
        self.queue.enqueue(*joined(self._to_enqueue))
        self._to_enqueue = []
        self.key_encoder.follow(self.encoder, self.config.key_momentum)
        self.key_instance_head.follow(self.instance_head, self.config.key_momentum)
        self.key_speed_head.follow(self.speed_head, self.config.key_momentum)

    def requirements(self) -> Requirements:
        queue_size = self.config.queue_size
        if self.config.mask_same_video:
            min_num_videos, reason = 2, "a video is told from other videos"
        else:
            min_num_videos = queue_size + 1
            reason = "without mask_same_video a queue as large as the data set holds keys of the query's own video"
        return Requirements(
            min_num_videos=min_num_videos,
            max_global_batch_size=queue_size,
            videos_reason=reason,
            batch_reason="the keys of one batch must fit into the queue (queue_size)",
        )

    def _build_head(self) -> ProjectionHead:
        config = self.config
        return ProjectionHead(
            feature_dim=self.encoder.feature_dim, embedding_dim=config.embedding_dim, kind=config.head
        )

    def _keys(self, clips: Clips, context: StepContext, purpose: str) -> Embeddings:
        if not self.config.shuffle_batch_norm:
            return self._key_embeddings(clips)
        return run_shuffled(self._key_embeddings, clips, seed=context.seed, step=context.step, purpose=purpose)

    @torch.no_grad()
    def _key_embeddings(self, clips: Clips) -> Embeddings:
        feature_map = self.key_encoder(clips)
        return unit_embeddings(self.key_instance_head(feature_map), self.key_speed_head(feature_map))

    def _discriminate(
        self,
        query: Float[Tensor, "batch embedding"],
        positives: list[Tensor],
        video_index: Int64[Tensor, " batch"],
    ) -> list[InfoNCEResult]:
        mask = ~self.queue.same_video(video_index) if self.config.mask_same_video else None
        return [info_nce(query, positive, self.queue.features, self.config.temperature, mask) for positive in positives]


def unit_embeddings(instance: Float[Tensor, "batch embedding"], speed: Float[Tensor, "batch embedding"]) -> Embeddings:
    """Both heads' outputs as unit vectors, in float32 whatever autocast made of them."""
    return F.normalize(torch.stack((instance, speed), dim=1).float(), dim=2)
