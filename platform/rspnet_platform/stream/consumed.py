"""Which videos of which epochs have been trained on: what makes "exactly once" survive a crash."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


class ConsumedVideos:
    """A mask over the data set for each epoch that has been begun and not completed.

    Batches are full to the end of an epoch and go on into the next, so that two epochs can be open at a time; with
    several samples a visit, twice as many epochs as those. An epoch with a damaged video stays open.
    """

    def __init__(self, *, num_videos: int, num_videos_per_epoch: int) -> None:
        """`num_videos` in the data set, of which `num_videos_per_epoch` (one split, say) are trained on."""
        self.num_videos = num_videos
        self.num_videos_per_epoch = num_videos_per_epoch
        self.first_open_epoch = 0
        self.masks: dict[int, np.ndarray] = {}

    def mark(self, epochs: np.ndarray, video_indices: np.ndarray) -> None:
        """Raises RuntimeError for a video that its epoch has had: plan and record would contradict each other."""
        for epoch in np.unique(epochs).tolist():
            videos = video_indices[epochs == epoch]
            mask = self.masks.setdefault(epoch, np.zeros(self.num_videos, dtype=bool))
            if epoch < self.first_open_epoch or mask[videos].any() or len(np.unique(videos)) != len(videos):
                raise RuntimeError(f"a video of epoch {epoch} came a second time, among {videos.tolist()}")
            mask[videos] = True
        self._close_completed()

    def _close_completed(self) -> None:
        while (mask := self.masks.get(self.first_open_epoch)) is not None and mask.sum() == self.num_videos_per_epoch:
            del self.masks[self.first_open_epoch]
            self.first_open_epoch += 1

    @property
    def num_samples(self) -> int:
        """Videos trained on, over all epochs."""
        return self.first_open_epoch * self.num_videos_per_epoch + sum(int(mask.sum()) for mask in self.masks.values())

    def to_json(self) -> dict[str, Any]:
        """About 125 kB an open epoch of a million videos, less where zlib helps."""
        return {
            "num_videos": self.num_videos,
            "num_videos_per_epoch": self.num_videos_per_epoch,
            "first_open_epoch": self.first_open_epoch,
            "masks": {str(epoch): pack_mask(mask) for epoch, mask in self.masks.items()},
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "ConsumedVideos":
        consumed = cls(num_videos=state["num_videos"], num_videos_per_epoch=state["num_videos_per_epoch"])
        consumed.first_open_epoch = state["first_open_epoch"]
        consumed.masks = {int(epoch): unpack_mask(mask, consumed.num_videos) for epoch, mask in state["masks"].items()}
        return consumed


def pack_mask(mask: np.ndarray) -> str:
    return base64.b85encode(zlib.compress(np.packbits(mask).tobytes())).decode()


def unpack_mask(packed: str, num_videos: int) -> np.ndarray:
    raw = zlib.decompress(base64.b85decode(packed))
    return np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=num_videos).astype(bool)
