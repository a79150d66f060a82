"""What all readers are asked for: the samples that training draws."""

from collections.abc import Sequence
from dataclasses import dataclass

from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.stream.clip_decoding import SampleRecipe, sample_plan

from rspnet_core.sampling.clip_plan import ClipPlan, VideoInfo
from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import ViewConfig

RECIPE = SampleRecipe(sampler=SpeedPairSampler(), views=(ViewConfig(),), seed=0)
"""RSPNet's published sample: three clips of 16 frames, random crops resized to 112 x 112."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One sample: the clips that `plan` wants of a video in `epoch`. `video` is the ingested copy, to whose size the
    readers of source files scale as they read."""

    video: VideoInfo
    epoch: int
    plan: ClipPlan

    @property
    def union(self) -> list[int]:
        return sorted(self.plan.wanted_frames)


def video_infos(dataset_uri: str) -> list[VideoInfo]:
    names = ("video_index", "num_frames", "frames_per_second", "height", "width")
    rows = open_dataset(dataset_uri).videos.sort_by("video_index").to_pylist()
    return [VideoInfo(**{name: row[name] for name in names}) for row in rows]


def make_requests(videos: Sequence[VideoInfo], epoch: int) -> list[Request]:
    """One a video: what training asks for in `epoch`."""
    return [Request(video=video, epoch=epoch, plan=sample_plan(video, epoch, RECIPE)) for video in videos]
