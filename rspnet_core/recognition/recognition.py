"""Recognition: a linear classifier on the pooled feature of an encoder, trained with labels.

What RSPNet (https://arxiv.org/abs/2011.07949) and its kin report as fine-tuning: global average pooling, a linear
layer, cross entropy. At test the clips and crops of a video are scored one by one and their softmax is averaged, as is
usual; the published RSPNet code averages logits.
"""

from collections.abc import Mapping
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rspnet_core.encoders import build_encoder
from rspnet_core.encoders.video_encoder import pool
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.task import PretextBatch, PretextOutput, PretextTask, StepContext
from rspnet_core.recognition.recognition_config import RecognitionConfig


class Recognition(PretextTask):
    """`labels` holds the video's class. Raises ValueError for a config without a number of classes.

    In training mode the encoder's layers are in the mode that the config asks of them: batch norm as `batch_norm` says,
    all others (dropout, stochastic depth) in training mode where the encoder is trained.
    """

    def __init__(self, config: RecognitionConfig) -> None:
        super().__init__()
        if config.num_classes is None:
            raise ValueError("num_classes is None; accepted here is a number: the job takes the data set's")
        self.config = config
        self.encoder = build_encoder(config.encoder)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(self.encoder.feature_dim, config.num_classes)
        self.encoder.requires_grad_(config.trainable == "everything")
        self.train()

    def train(self, mode: bool = True) -> "Recognition":
        super().train(mode)
        if mode:
            self.encoder.train(self.config.trainable == "everything")
            for layer in self.encoder.modules():
                if isinstance(layer, _BatchNorm):
                    layer.train(self.config.batch_norm == "running")
        return self

    def learning_rate_factors(self) -> Mapping[str, float]:
        return {"encoder.": self.config.encoder_learning_rate_factor}

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:  # noqa: ARG002
        with nullcontext() if self.config.trainable == "everything" else torch.no_grad():
            features = pool(self.encoder(batch.clips.flatten(0, 1)))
        logits = self.classifier(self.dropout(features)).float()
        labels = batch.labels[:, 0]
        loss = F.cross_entropy(logits, labels)
        return PretextOutput(
            loss=loss,
            metrics={
                "recognition/accuracy": (logits.argmax(dim=1) == labels).float().mean(),
                "feature_std": feature_std(features),
            },
        )

    @torch.no_grad()
    def probabilities(
        self, clips: Float[Tensor, "clips channel time height width"]
    ) -> Float[Tensor, "clips num_classes"]:
        """The softmax of each clip: a video's score is its mean over clips and crops. Call it in evaluation mode."""
        return self.classifier(self.dropout(pool(self.encoder(clips)))).float().softmax(dim=1)
