"""Fine-tuning's choices; see `recognition`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from rspnet_core.pretext.task_config import TaskConfig, check_choice, check_positive
from rspnet_core.recognition.clip_samplers import TrainingClipSampler
from rspnet_core.sampling.views import ViewConfig

Trainable = Literal["everything", "classifier"]
BatchNorm = Literal["running", "frozen"]


def published_view() -> ViewConfig:
    """A crop of a quarter of the picture or more and a flip, no colours: the published RSPNet code's."""
    return ViewConfig(crop_area_fraction=(0.25, 1.0), grayscale_probability=0.0, jitter_probability=0.0)


@dataclass(frozen=True, kw_only=True)
class RecognitionConfig(TaskConfig):
    """`num_classes`: none takes as many as the training split has.

    `trainable`: "classifier" is the linear probe: the encoder's weights stay as they came. `batch_norm`: "running"
    normalises training batches by their own statistics and goes on averaging them; "frozen" keeps to the statistics
    that came with the encoder, in training too (its scales and shifts are weights: `trainable` decides on them).

    `encoder_learning_rate_factor`: the encoder's rate in multiples of the classifier's. `dropout` is of the pooled
    feature.
    """

    task_name: ClassVar[str] = "recognition"

    clips: TrainingClipSampler = field(default_factory=TrainingClipSampler)
    view: ViewConfig = field(default_factory=published_view)
    num_classes: int | None = None
    trainable: Trainable = "everything"
    batch_norm: BatchNorm = "running"
    encoder_learning_rate_factor: float = 1.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "trainable", get_args(Trainable))
        check_choice(self, "batch_norm", get_args(BatchNorm))
        check_positive(self, "encoder_learning_rate_factor")
        if self.trainable == "classifier" and self.encoder_learning_rate_factor != 1:
            raise ValueError(
                f"encoder_learning_rate_factor is {self.encoder_learning_rate_factor} with trainable 'classifier'; "
                "accepted is 1: the encoder is not trained"
            )
        if self.num_classes is not None and self.num_classes < 2:
            raise ValueError(f"num_classes is {self.num_classes}; accepted are 2 or more, and none")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; accepted are 0 to below 1")
