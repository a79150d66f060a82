"""Momentum contrast between rho clips of a video (rho-MoCo).

Feichtenhofer et al., "A Large-Scale Study on Unsupervised Spatiotemporal Representation Learning", CVPR 2021,
https://arxiv.org/abs/2104.14558, and the published code (SlowFast).

| paper | here |
|---|---|
| rho clips of a video | `clips.num_clips` |
| q, k | a clip's embedding by `head` of `encoder`, and by their momentum copies |
| alpha, temperature | `temperature` |
| m, annealed to 1 | `key_momentum`, `anneals_key_momentum`: m(s) = 1 - (1 - m0) (cos(pi s / S) + 1) / 2 |

Each clip is a query once, and every other clip's key its positive in turn: a clip's loss is the mean over these keys,
and the clips' losses are summed, as the published code sums their gradients (it logs their mean). The keys of all clips
are enqueued.

Deviations on purpose: the published code takes no optimizer step until the queue is full of keys, here it starts full
of random directions; it passes backward clip by clip, here all queries pass at once, which is the same gradient but for
batch norm, which sees them together; S counts steps instead of fractional epochs, and the momentum copies follow after
step s by m(s) instead of before the next one by m(s + 1); the queue's keys of a query's own video are no negatives
(`mask_same_video`), and the queue need not be a multiple of the batch; shuffled batch norm exchanges clips between all
workers instead of those of one machine.
"""

from math import cos, pi

import torch

from rspnet_core.encoders.video_encoder import pool
from rspnet_core.pretext.feature_spread import feature_std
from rspnet_core.pretext.moco_config import MoCoConfig
from rspnet_core.pretext.momentum_contrast import MomentumContrast
from rspnet_core.pretext.task import PretextBatch, PretextOutput, StepContext


class MoCo(MomentumContrast):
    """rho clips a video, each query and key."""

    def __init__(self, config: MoCoConfig) -> None:
        super().__init__(config)
        self.config = config
        self.num_enqueued_per_video = config.clips.num_clips

    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput:
        num_clips = batch.clips.shape[1]
        keys = [self.unit_keys(batch.clips[:, place], context, f"key/{place}") for place in range(num_clips)]
        feature_map = self.encoder(batch.clips.flatten(0, 1))
        queries = self.unit_query(feature_map).unflatten(0, batch.clips.shape[:2])
        # Video by video: the queue's order does not depend on the number of workers or micro-batches.
        all_keys = torch.stack(keys, dim=1).flatten(0, 1)
        step_keys = self.will_enqueue(all_keys, batch.video_index.repeat_interleave(num_clips), context)
        losses, top1, top1_own_batch = [], [], []
        for place in range(num_clips):
            query, positives = queries[:, place], [*keys[:place], *keys[place + 1 :]]
            terms = [self.discriminate(query, positive, batch.video_index) for positive in positives]
            losses.append(torch.stack([term.loss.mean() for term in terms]).mean())
            top1 += [term.top1 for term in terms]
            top1_own_batch.append(step_keys.top1(query, positives, batch.video_index))
        loss = torch.stack(losses)
        return PretextOutput(
            loss=loss.sum(),
            metrics={
                "instance/loss": loss.mean().detach(),
                "instance/top1": torch.stack(top1).mean(),
                "instance/top1_own_batch": torch.stack(top1_own_batch).mean(),
                "feature_std": feature_std(pool(feature_map)),
            },
        )

    def momentum_at(self, context: StepContext) -> float:
        start = self.config.key_momentum
        if not self.config.anneals_key_momentum:
            return start
        return 1 - (1 - start) * (cos(pi * context.step / context.num_steps) + 1) / 2
