"""What all ranks together have trained on, brought together at each checkpoint."""

import torch
import torch.distributed as dist

from rspnet_core.clip_batch import ClipBatch
from rspnet_platform.stream.consumed import ConsumedVideos


class TrainedSamples:
    """Collects this rank's samples, and enters every rank's into `consumed` when asked."""

    def __init__(self, consumed: ConsumedVideos) -> None:
        self._consumed = consumed
        self._pending: list[torch.Tensor] = []

    def add(self, batch: ClipBatch) -> None:
        self._pending.append(torch.stack([batch.epoch, batch.video_index]))

    def gather(self) -> None:
        """A barrier. Raises RuntimeError should a video come twice in an epoch."""
        mine = torch.cat(self._pending, dim=1) if self._pending else torch.zeros(2, 0, dtype=torch.int64)
        parts: list[torch.Tensor] = [mine]
        if dist.is_initialized() and dist.get_world_size() > 1:
            gathered: list[torch.Tensor | None] = [None] * dist.get_world_size()
            dist.all_gather_object(gathered, mine)
            parts = [part for part in gathered if part is not None]
        epochs, video_indices = torch.cat(parts, dim=1).numpy()
        self._consumed.mark(epochs, video_indices)
        self._pending.clear()
