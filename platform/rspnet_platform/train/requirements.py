"""Refuses a run that cannot offer what its method needs, instead of training something else."""

import numpy as np

from rspnet_core.sampling.clip_plan import VideoInfo
from rspnet_platform.config import PretrainConfig
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.training_state import build_task


def check_requirements(config: PretrainConfig, dataset: ShardedDataset, stream: TrainingStream) -> None:
    """Raises ValueError with the task's or the sampler's own reason."""
    build_task(config).requirements().check(
        num_videos=len(stream.plan.video_indices),
        global_batch_size=config.training.global_batch_size,
        num_micro_batches=max(map(config.training.num_micro_batches, config.scaling.worker_counts)),
    )
    check_shortest_video(dataset, stream)


def check_shortest_video(dataset: ShardedDataset, stream: TrainingStream) -> None:
    """A sampler that rejects short videos does so here, before anything has started."""
    videos = dataset.videos.sort_by("video_index").take(stream.plan.video_indices)
    [shortest] = videos.slice(int(np.argmin(videos["num_frames"].to_numpy())), 1).to_pylist()
    names = ("video_index", "num_frames", "frames_per_second", "height", "width")
    info = VideoInfo(**{name: shortest[name] for name in names})
    try:
        stream.recipe.sampler.plan(info, np.random.default_rng(0))
    except ValueError as error:
        raise ValueError(f"the shortest video, {shortest['video_id']}, cannot be sampled: {error}") from error
