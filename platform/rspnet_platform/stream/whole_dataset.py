"""Each of some videos once, in the order of the shards: what evaluation reads."""

from dataclasses import dataclass

import numpy as np

from rspnet_platform.stream.stream_plan import ExecutionSamples, VideoLocations

MAX_VIDEOS_PER_SHARE = 64


@dataclass(frozen=True, kw_only=True)
class WholeDataset:
    """A plan for `ClipSource` that trains nothing and drops nothing; every execution is the same."""

    dataset_uri: str
    locations: VideoLocations
    video_indices: np.ndarray
    num_rows_per_block: int

    @property
    def num_samples_left(self) -> int:
        return len(self.video_indices)

    def execution(self, index: int) -> ExecutionSamples:  # noqa: ARG002
        in_order = np.concatenate(self.locations.by_row_group(self.video_indices))
        share_size = max(1, MAX_VIDEOS_PER_SHARE // self.num_rows_per_block) * self.num_rows_per_block
        return ExecutionSamples(
            epochs=np.zeros_like(in_order),
            video_indices=in_order,
            share_ends=np.arange(share_size, len(in_order) + share_size, share_size).clip(max=len(in_order)),
            num_samples_per_visit=1,
        )
