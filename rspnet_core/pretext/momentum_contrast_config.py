"""What the configs of tasks with a queue of negatives have in common. Imports no torch: `--help` reads it."""

from dataclasses import dataclass

from rspnet_core.encoders.head_kinds import HEAD_KINDS, HeadKind
from rspnet_core.pretext.task_config import TaskConfig, check_choice, check_positive


@dataclass(frozen=True, kw_only=True)
class MomentumContrastConfig(TaskConfig):
    """`mask_same_video` and `shuffle_batch_norm`: see RSPNetConfig."""

    embedding_dim: int = 128
    head: HeadKind = "linear"
    temperature: float = 0.07
    queue_size: int = 16384
    key_momentum: float = 0.999
    mask_same_video: bool = True
    shuffle_batch_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "embedding_dim", "temperature", "queue_size")
        check_choice(self, "head", HEAD_KINDS)
        if not 0 <= self.key_momentum <= 1:
            raise ValueError(f"key_momentum is {self.key_momentum}; accepted are 0 to 1")
