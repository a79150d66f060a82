"""What the configs of tasks have in common whose negatives are the other videos of the global batch.

Imports no torch: `--help` reads it.
"""

from dataclasses import dataclass

from rspnet_core.encoders.head_kinds import HEAD_KINDS, HeadKind
from rspnet_core.pretext.task_config import TaskConfig, check_choice, check_positive


@dataclass(frozen=True, kw_only=True)
class BatchContrastConfig(TaskConfig):
    """`min_global_batch_size`: with fewer videos in a batch it is another method; a run with less is refused. Where the
    line is drawn is ours: no paper gives one."""

    embedding_dim: int = 128
    head: HeadKind = "mlp_4_batch_norm"
    temperature: float = 0.1
    min_global_batch_size: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "embedding_dim", "temperature")
        check_choice(self, "head", HEAD_KINDS)
        if self.min_global_batch_size < 2:
            raise ValueError(f"min_global_batch_size is {self.min_global_batch_size}; accepted are 2 or more")
