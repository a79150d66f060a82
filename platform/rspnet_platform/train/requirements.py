"""Refuses a run that cannot offer what its method needs, instead of training something else."""

import numpy as np

from rspnet_core.sampling.clip_plan import ClipSampler, VideoInfo
from rspnet_platform.config import TrainingRunConfig
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.training_state import build_task


def check_requirements(config: TrainingRunConfig, dataset: ShardedDataset, stream: TrainingStream) -> None:
    """Raises ValueError with the task's or the sampler's own reason."""
    task = build_task(config)
    clips, view = config.task.clips, config.task.view
    task.encoder.check_clip_size(num_frames=clips.num_frames_per_clip, height=view.crop_size, width=view.crop_size)
    task.requirements().check(
        num_videos=len(stream.plan.video_indices),
        global_batch_size=config.training.global_batch_size,
        num_micro_batches=max(map(config.training.num_micro_batches, config.scaling.worker_counts)),
    )
    check_shortest_video(dataset, stream.plan.video_indices, stream.recipe.sampler)


def check_batch_norm(config: TrainingRunConfig, *, use_gpu: bool, max_workers: int) -> None:
    """Raises ValueError where batch norm cannot be synchronised: torch does that on GPUs alone."""
    if config.task.sync_batch_norm and not use_gpu and max_workers > 1:
        raise ValueError(
            f"task.sync_batch_norm is True with {max_workers} workers without GPUs; accepted: one worker (the same "
            "there), GPUs, or False, which is another method"
        )


def check_shortest_video(dataset: ShardedDataset, video_indices: np.ndarray, sampler: ClipSampler) -> None:
    """A sampler that rejects short videos does so here, before anything has started."""
    videos = dataset.videos.sort_by("video_index").take(video_indices)
    [shortest] = videos.slice(int(np.argmin(videos["num_frames"].to_numpy())), 1).to_pylist()
    names = ("video_index", "num_frames", "frames_per_second", "height", "width")
    info = VideoInfo(**{name: shortest[name] for name in names})
    try:
        sampler.plan(info, np.random.default_rng(0))
    except ValueError as error:
        raise ValueError(f"the shortest video, {shortest['video_id']}, cannot be sampled: {error}") from error
