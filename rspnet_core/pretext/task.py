"""The interface of a pretext task: a model and its objective, nothing of devices, logging, DDP or
checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float, Int64
from torch import Tensor, nn

from rspnet_core.encoders.video_encoder import VideoEncoder


@dataclass(frozen=True, kw_only=True)
class PretextBatch:
    """Clips as the encoder takes them (RGB, augmented, normalised), in the order that the task's sampler
    planned."""

    clips: Float[Tensor, "batch num_clips channel time height width"]
    playback_speeds: Float[Tensor, "batch num_clips"]
    labels: Int64[Tensor, "batch num_labels"]
    video_index: Int64[Tensor, " batch"]

    def split(self, num_parts: int) -> "list[PretextBatch]":
        """Parts of equal size, in order. Raises ValueError where the batch does not divide."""
        if len(self.video_index) % num_parts:
            raise ValueError(f"a batch of {len(self.video_index)} does not divide into {num_parts} equal parts")
        parts = zip(*(tensor.chunk(num_parts) for tensor in vars(self).values()), strict=True)
        return [PretextBatch(**dict(zip(vars(self), part, strict=True))) for part in parts]


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """What a step may depend on beside its batch. `step` counts optimizer steps from 0 over the whole run."""

    step: int
    num_steps: int
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class PretextOutput:
    """A scalar loss, and detached scalars under the names that they are tracked by, without the "train/"."""

    loss: Float[Tensor, ""]
    metrics: dict[str, Float[Tensor, ""]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """What a run must offer. The platform refuses to start a run that cannot, instead of training something
    else."""

    min_num_videos: int = 1
    min_global_batch_size: int = 1
    max_global_batch_size: int | None = None
    videos_reason: str = ""
    batch_reason: str = ""
    needs_whole_batch: bool = False
    """The loss compares the videos of a batch with each other: micro-batches would make it another one."""

    def check(self, *, num_videos: int, global_batch_size: int, num_micro_batches: int = 1) -> None:
        """Raises ValueError for a run with fewer videos, with a global batch outside the accepted range, or with
        batches in parts where the method needs them whole."""
        if self.needs_whole_batch and num_micro_batches > 1:
            raise ValueError(
                f"each worker's batch would come in {num_micro_batches} parts (max_batch_size_per_worker); accepted is "
                "one: the loss compares the videos of a batch with each other"
            )
        if num_videos < self.min_num_videos:
            raise ValueError(f"{num_videos} videos; accepted are {self.min_num_videos} or more: {self.videos_reason}")
        if global_batch_size < self.min_global_batch_size:
            raise ValueError(
                f"global_batch_size is {global_batch_size}; accepted are {self.min_global_batch_size} or more: "
                f"{self.batch_reason}"
            )
        if self.max_global_batch_size is not None and global_batch_size > self.max_global_batch_size:
            raise ValueError(
                f"global_batch_size is {global_batch_size}; accepted are up to {self.max_global_batch_size}: "
                f"{self.batch_reason}"
            )


class PretextTask(nn.Module, ABC):
    """Heads, queues and momentum encoders are submodules and buffers and go into the checkpoint; only
    `encoder` is exported. `forward` changes no buffer that its own backward pass reads; `after_step` does
    that."""

    encoder: VideoEncoder

    @abstractmethod
    def forward(self, batch: PretextBatch, context: StepContext) -> PretextOutput: ...

    def after_step(self) -> None:
        """Called once after each optimizer step: momentum updates, queues. Takes no gradient."""
        return

    def learning_rate_factors(self) -> Mapping[str, float]:
        """By the beginning of parameters' names: their rate in multiples of the schedule's."""
        return {}

    def requirements(self) -> Requirements:
        return Requirements()
