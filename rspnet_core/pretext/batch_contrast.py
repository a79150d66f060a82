"""What tasks share whose negatives are the other videos of the global batch (NT-Xent)."""

from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.projection_head import ProjectionHead
from rspnet_core.encoders.video_encoder import pool
from rspnet_core.losses.nt_xent import Reduction, nt_xent
from rspnet_core.pretext.batch_contrast_config import BatchContrastConfig
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, Requirements, StepContext


class BatchContrast(PretextTask):
    """Two clips or more of each video find each other among all of the global batch."""

    reduction: Reduction = "mean"

    def __init__(self, config: BatchContrastConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.head = ProjectionHead(
            feature_dim=self.encoder.feature_dim, embedding_dim=config.embedding_dim, kind=config.head
        )

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        feature_map = self.encoder(batch.clips.flatten(0, 1))
        embeddings = self.head(feature_map).unflatten(0, batch.clips.shape[:2])
        result = nt_xent(embeddings.transpose(0, 1), self.config.temperature, self.reduction)
        return PretextOutput(
            loss=result.loss,
            metrics={
                "instance/loss": result.loss.detach(),
                "instance/top1": result.top1,
                "feature_std": feature_std(pool(feature_map)),
            },
        )

    def requirements(self) -> Requirements:
        return Requirements(
            min_num_videos=2,
            min_global_batch_size=self.config.min_global_batch_size,
            needs_whole_batch=True,
            videos_reason="a video is told from other videos",
            batch_reason="the negatives are the other videos of the batch (min_global_batch_size)",
        )
