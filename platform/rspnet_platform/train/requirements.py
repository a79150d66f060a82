"""Refuses a run that cannot offer what its method needs, instead of training something else."""

from rspnet_platform.config import PretrainConfig
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.training_state import build_task


def check_requirements(config: PretrainConfig, stream: TrainingStream) -> None:
    """Raises ValueError with the task's own reason."""
    requirements = build_task(config).requirements()
    num_videos = len(stream.plan.video_indices)
    if num_videos < requirements.min_num_videos:
        raise ValueError(
            f"there are {num_videos} videos to train on; {config.task.task_name} with this config needs "
            f"{requirements.min_num_videos} or more: {requirements.reason}"
        )
    if config.training.global_batch_size < requirements.min_global_batch_size:
        raise ValueError(
            f"the global batch is {config.training.global_batch_size}; {config.task.task_name} with this config needs "
            f"{requirements.min_global_batch_size} or more: {requirements.reason}"
        )
