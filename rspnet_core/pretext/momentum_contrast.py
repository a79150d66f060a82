"""What tasks with a momentum encoder and a queue of negatives share (MoCo, arXiv 1911.05722)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from rspnet_core.distributed import run_shuffled
from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.momentum_encoder import MomentumEncoder
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.feature_queue import FeatureQueue
from rspnet_core.losses.info_nce import InfoNCEResult, info_nce
from rspnet_core.pretext.momentum_contrast_config import MomentumContrastConfig
from rspnet_core.pretext.step_keys import StepKeys, joined
from rspnet_core.pretext.task import PretextTask, Requirements, StepContext

Clips = Float[Tensor, "batch channel time height width"]


class MomentumContrast(PretextTask):
    """Query and key networks, the queue, and InfoNCE between them; a subclass says which clips are compared.

    Keys that `will_enqueue` was given enter the queue after the optimizer step, and the key network follows.
    """

    num_enqueued_per_video = 1

    def __init__(self, config: MomentumContrastConfig) -> None:
        super().__init__()
        self.contrast_config = config
        self.encoder = build_encoder(config.encoder)
        self.head = ProjectionHead(
            feature_dim=self.encoder.feature_dim, embedding_dim=config.embedding_dim, kind=config.head
        )
        self.key_encoder = MomentumEncoder(self.encoder)
        self.key_head = MomentumEncoder(self.head)
        self.queue = FeatureQueue(queue_size=config.queue_size, embedding_dim=config.embedding_dim)
        self._to_enqueue: list[StepKeys] = []
        self._key_momentum = config.key_momentum

    def unit_query(self, feature_map: Float[Tensor, "batch feature *map"]) -> Float[Tensor, "batch embedding"]:
        return F.normalize(self.head(feature_map).float(), dim=1)

    def unit_keys(self, clips: Clips, context: StepContext, purpose: str) -> Float[Tensor, "batch embedding"]:
        """Embeddings by the momentum copies, without gradient; shuffled over workers on the way where configured."""
        if not self.contrast_config.shuffle_batch_norm:
            return self._unit_keys(clips)
        return run_shuffled(self._unit_keys, clips, seed=context.seed, step=context.step, purpose=purpose)

    @torch.no_grad()
    def _unit_keys(self, clips: Clips) -> Float[Tensor, "batch embedding"]:
        return F.normalize(self.key_head(self.key_encoder(clips)).float(), dim=1)

    def discriminate(
        self,
        query: Float[Tensor, "batch embedding"],
        positive: Float[Tensor, "batch embedding"],
        video_index: Int64[Tensor, " batch"],
    ) -> InfoNCEResult:
        """One loss a query, against its positive and the queue."""
        mask = ~self.queue.same_video(video_index) if self.contrast_config.mask_same_video else None
        return info_nce(query, positive, self.queue.features, self.contrast_config.temperature, mask)

    def momentum_at(self, context: StepContext) -> float:  # noqa: ARG002
        """By how much the key network stays where it is after this step."""
        return self.contrast_config.key_momentum

    def will_enqueue(
        self, keys: Float[Tensor, "keys embedding"], video_index: Int64[Tensor, " keys"], context: StepContext
    ) -> StepKeys:
        """Returns these keys with those of all other workers."""
        of_all = StepKeys.gather(keys, video_index)
        if torch.is_grad_enabled():  # a validation leaves no trace
            self._to_enqueue.append(of_all)
            self._key_momentum = self.momentum_at(context)
        return of_all

    def after_step(self) -> None:
        """Enqueues the step's keys, from all workers in the order of their ranks, and moves the key network."""
        assert self._to_enqueue, "after_step without a forward"
        self.queue.enqueue(*joined(self._to_enqueue))
        self._to_enqueue = []
        self.key_encoder.follow(self.encoder, self._key_momentum)
        self.key_head.follow(self.head, self._key_momentum)

    def requirements(self) -> Requirements:
        num_videos_in_queue = self.contrast_config.queue_size // self.num_enqueued_per_video
        min_num_videos, reason = 2, "a video is told from other videos"
        if not self.contrast_config.mask_same_video:
            min_num_videos = num_videos_in_queue + 1
            reason = "without mask_same_video a queue as large as the data set holds keys of the query's own video"
        return Requirements(
            min_num_videos=min_num_videos,
            max_global_batch_size=num_videos_in_queue,
            videos_reason=reason,
            batch_reason="the keys of one batch must fit into the queue (queue_size)",
        )
