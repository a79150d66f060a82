"""The ways of bringing clips to a training loop that are compared. Each is a generator of batches in memory, as torch
tensors, that never ends by itself; what it yields is the number of samples in the batch."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from rspnet_platform import runtime
from rspnet_platform.shards.dataset import open_dataset
from rspnet_platform.shards.packet_reader import DamagedVideoError
from rspnet_platform.stream.clip_dataset import clip_dataset
from rspnet_platform.stream.clip_source import Share, due_samples
from rspnet_platform.stream.consumed import ConsumedVideos
from rspnet_platform.stream.damage import DamageLedger
from rspnet_platform.stream.stream_plan import StreamPlan, VideoLocations
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import VideoInfo
from tests.benchmarks.requests import RECIPE

Batches = Generator[int, None, None]

NUM_CPUS = 2
"""As many decode tasks as the data loader has workers."""


@dataclass(frozen=True, kw_only=True)
class StreamSetting:
    """`sources` are the files for `read_videos`, of the same videos as the data set's."""

    dataset_uri: str
    sources: tuple[str, ...]
    scratch: str
    batch_size: int
    num_prefetched_batches: int = 2

    def plan(self) -> StreamPlan:
        """Epochs without end; one iteration is what Ray Data calls an execution."""
        dataset = open_dataset(self.dataset_uri)
        num_videos = dataset.description.num_videos
        return StreamPlan(
            dataset_uri=dataset.uri,
            locations=VideoLocations.from_dataset(dataset),
            video_indices=np.arange(num_videos),
            seed=0,
            num_epochs=1_000_000 // num_videos,
            global_batch_size=self.batch_size,
            worker_counts=(1,),
            num_row_groups_per_window=4,
            consumed=ConsumedVideos(num_videos=num_videos, num_videos_per_epoch=num_videos),
            max_samples_per_execution=100_000,
        )

    @property
    def damage(self) -> DamageLedger:
        return DamageLedger(uri=self.scratch)


def ray_split(setting: StreamSetting) -> Batches:
    """As training reads: one consumer of a `streaming_split`."""
    return ray_batches(setting, lambda dataset: dataset.streaming_split(1, equal=True)[0])


def ray_whole(setting: StreamSetting) -> Batches:
    """The same data set without a split."""
    return ray_batches(setting, lambda dataset: dataset)


def ray_batches(setting: StreamSetting, consumer: Callable[[Any], Any]) -> Batches:
    runtime.connect(num_cpus=NUM_CPUS)
    dataset = clip_dataset(setting.plan(), RECIPE, setting.damage, cpus_per_decode_task=1.0)
    batches = consumer(dataset).iter_batches(
        batch_size=setting.batch_size,
        batch_format="numpy",
        drop_last=True,
        prefetch_batches=setting.num_prefetched_batches,
    )
    for arrays in batches:
        tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
        yield len(tensors["video_index"])


def data_loader(setting: StreamSetting, num_workers: int) -> Batches:
    """torch's own loader around our reader, on the same samples."""
    loader = DataLoader(
        PlannedClips(setting),
        batch_size=setting.batch_size,
        num_workers=num_workers,
        prefetch_factor=setting.num_prefetched_batches if num_workers else None,
    )
    for tensors in loader:
        yield len(tensors["video_index"])


class PlannedClips(IterableDataset):
    """The plan's samples; each worker takes every n-th share of them."""

    def __init__(self, setting: StreamSetting) -> None:
        super().__init__()
        self.setting = setting

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for share in planned_shares(self.setting)[first::step]:
            for due in due_samples(share):
                if isinstance(due.sample, DamagedVideoError):
                    raise due.sample
                yield {"video_index": due.video_index, "epoch": due.epoch, **vars(due.sample)}


def planned_shares(setting: StreamSetting) -> list[Share]:
    plan = setting.plan()
    samples = plan.execution(0)
    return [
        Share(
            dataset_uri=plan.dataset_uri,
            epochs=tuple(epochs.tolist()),
            video_indices=tuple(video_indices.tolist()),
            locations=plan.locations.of(video_indices),
            recipe=RECIPE,
            num_rows_per_block=plan.num_rows_per_block,
            num_samples_per_visit=samples.num_samples_per_visit,
            damage=setting.damage,
        )
        for epochs, video_indices in samples.in_shares()
    ]


def read_videos(setting: StreamSetting) -> Batches:
    """Ray's own reader, which gives a row a frame: a video's frames are put together again as they come, which
    `preserve_order` allows (`groupby` would shuffle them first), and its clips cut out. Frames are scaled as they are
    decoded, so that the least possible travels."""
    import ray.data

    runtime.connect(num_cpus=NUM_CPUS)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    dataset = ray.data.read_videos(
        list(setting.sources) * 100,
        include_paths=True,
        resize=(128, 170),
        override_num_blocks=len(setting.sources) * 100,
    )
    blocks: Iterable[Any] = dataset.iter_batches(batch_size=None, batch_format="numpy")
    batch: list[np.ndarray] = []
    for frames in videos_of_rows(blocks):
        batch.append(rgb_sample(frames, len(batch)))
        if len(batch) == setting.batch_size:
            tensor = torch.from_numpy(np.stack(batch))
            yield len(tensor)
            batch = []


def videos_of_rows(blocks: Iterable[dict[str, np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """The frames of one video after the other: a new one begins with frame 0."""
    frames: list[np.ndarray] = []
    for block in blocks:
        for index, frame in zip(block["frame_index"], block["frame"], strict=True):
            if index == 0 and frames:
                yield frames
                frames = []
            frames.append(frame)


def rgb_sample(frames: list[np.ndarray], epoch: int) -> np.ndarray:
    """The three clips, cropped and resized in RGB: uint8 [3, 16, 112, 112, 3]."""
    height, width = frames[0].shape[:2]
    video = VideoInfo(video_index=0, num_frames=len(frames), frames_per_second=30.0, height=height, width=width)
    plan = RECIPE.sampler.plan(video, random_stream(0, epoch, 0, "clips"))
    crop = RECIPE.views[0].draw(random_stream(0, epoch, 0, "view"), height=height, width=width, num_frames=1).crops[0]
    inside = slice(crop.top, crop.top + crop.height), slice(crop.left, crop.left + crop.width)
    size = (RECIPE.crop_size, RECIPE.crop_size)
    clips = [[cv2.resize(frames[i][inside], size) for i in clip.frame_indices] for clip in plan.clips]
    return np.array(clips)


CONTESTANTS: Mapping[str, Callable[[StreamSetting], Batches]] = {
    "ray_split": ray_split,
    "ray_whole": ray_whole,
    "data_loader_2_workers": lambda setting: data_loader(setting, 2),
    "data_loader_in_process": lambda setting: data_loader(setting, 0),
    "read_videos": read_videos,
}
