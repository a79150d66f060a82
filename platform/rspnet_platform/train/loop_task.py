"""What the loop trains: by default a pretext task, from scratch, on what the stream brings."""

from rspnet_core.clip_batch import ClipBatch
from rspnet_core.pretext.task import PretextTask
from rspnet_platform.config import TrainingRunConfig
from rspnet_platform.train.training_state import TrainingState, build_task


class LoopTask:
    """Travels to each worker. A subclass begins from weights, adds labels, or keeps more than checkpoints."""

    def build(self, config: TrainingRunConfig) -> PretextTask:
        """As a run begins it. A checkpoint, where there is one, is loaded into it after."""
        return build_task(config)

    def labelled(self, batch: ClipBatch) -> ClipBatch:
        """With what the task is to tell, where that is no part of the clips' plan."""
        return batch

    def keep(self, state: TrainingState) -> None:  # noqa: ARG002
        """Called on rank 0 after each step, before a checkpoint of it."""
        return
