"""The negatives of instance discrimination: the newest keys of past batches, first in, first out (MoCo)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

NO_VIDEO = -1


class FeatureQueue(nn.Module):
    """`queue_size` unit keys with the video each came from; everything in buffers that go into the
    checkpoint.

    It starts full of normalised Gaussians that belong to no video (index -1), drawn from torch's global
    generator.
    """

    features: Float[Tensor, "queue embedding"]
    video_index: Int64[Tensor, " queue"]
    pointer: Int64[Tensor, ""]

    def __init__(self, *, queue_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("features", F.normalize(torch.randn(queue_size, embedding_dim), dim=1))
        self.register_buffer("video_index", torch.full((queue_size,), NO_VIDEO))
        self.register_buffer("pointer", torch.zeros((), dtype=torch.long))

    def __len__(self) -> int:
        return len(self.features)

    @torch.no_grad()
    def enqueue(self, keys: Float[Tensor, "batch embedding"], video_index: Int64[Tensor, " batch"]) -> None:
        """Replaces the oldest entries, round the end where needed. `keys` are unit vectors.

        The pointer stays on the device: nothing waits for it. Raises ValueError for a batch larger than the
        queue.
        """
        if len(keys) > len(self):
            raise ValueError(f"{len(keys)} keys for a queue of {len(self)}; accepted are batches up to queue_size")
        places = (self.pointer + torch.arange(len(keys), device=self.pointer.device)) % len(self)
        self.features.index_copy_(0, places, keys.to(self.features.dtype))
        self.video_index.index_copy_(0, places, video_index)
        self.pointer.add_(len(keys)).remainder_(len(self))

    def same_video(self, video_index: Int64[Tensor, " batch"]) -> Bool[Tensor, "batch queue"]:
        """True where an entry is a key of the same video: a false negative."""
        return video_index[:, None] == self.video_index
