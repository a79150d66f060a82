"""Refuses a run that cannot offer what its method needs, instead of training something else."""

from rspnet_platform.config import PretrainConfig
from rspnet_platform.stream.training_dataset import TrainingStream
from rspnet_platform.train.training_state import build_task


def check_requirements(config: PretrainConfig, stream: TrainingStream) -> None:
    """Raises ValueError with the task's own reason."""
    build_task(config).requirements().check(
        num_videos=len(stream.plan.video_indices), global_batch_size=config.training.global_batch_size
    )
