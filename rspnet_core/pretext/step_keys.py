"""The keys of one step, from all workers: what a query's rank is measured among before they enter the queue."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rspnet_core.distributed import all_gather_no_grad, world_size


@dataclass(frozen=True, kw_only=True)
class StepKeys:
    """Unit keys of a global batch, or of a micro-batch of it, and the video each came from."""

    features: Float[Tensor, "workers keys embedding"]
    video_index: Int64[Tensor, "workers keys"]

    @classmethod
    def gather(cls, features: Float[Tensor, "keys embedding"], video_index: Int64[Tensor, " keys"]) -> "StepKeys":
        """A collective: every worker brings equally many. It is the one that the queue needs of each step anyway."""
        workers = (world_size(), len(features))
        return cls(
            features=all_gather_no_grad(features).unflatten(0, workers),
            video_index=all_gather_no_grad(video_index).unflatten(0, workers),
        )

    @torch.no_grad()
    def top1(
        self,
        query: Float[Tensor, "batch embedding"],
        positives: Sequence[Float[Tensor, "batch embedding"]],
        video_index: Int64[Tensor, " batch"],
    ) -> Float[Tensor, ""]:
        """The share of queries whose positive is nearer than every key of other videos here, over all `positives`; a
        tie is a miss. 1 where the batch has no other video.

        Keys of one step are made by one network, which the queue's are not: early in training its old keys are told
        from a positive by their age alone. Costs a product of the queries with these keys.
        """
        with torch.autocast(query.device.type, enabled=False):
            others = query.float() @ self.features.flatten(0, 1).float().T
            is_own = video_index[:, None] == self.video_index.flatten()
            nearest_other = others.masked_fill(is_own, float("-inf")).amax(dim=1)
            hits = [(query.float() * positive.float()).sum(dim=1) > nearest_other for positive in positives]
        return torch.stack(hits).float().mean()


def joined(parts: Sequence[StepKeys]) -> tuple[Float[Tensor, "keys embedding"], Int64[Tensor, " keys"]]:
    """Features and videos of all micro-batches, worker by worker: the order does not depend on how many there are."""
    features = torch.cat([part.features for part in parts], dim=1)
    return features.flatten(0, 1), torch.cat([part.video_index for part in parts], dim=1).flatten()
