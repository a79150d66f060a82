"""Video cloze's choices; see `video_cloze`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from rspnet_core.normalisation import NormalisationName
from rspnet_core.pretext.clip_order_config import crop_alone
from rspnet_core.pretext.task_config import TaskConfig, check_choice
from rspnet_core.sampling.clip_cloze import ClipClozeSampler
from rspnet_core.sampling.views import ViewConfig

ClassifierKind = Literal["concatenated", "pairwise"]


@dataclass(frozen=True, kw_only=True)
class VideoClozeConfig(TaskConfig):
    """Three clips of 16 frames, 8 frames apart. Encoder and `classifier_kind` are those of one unofficial code (PCL);
    that the crops are clip order's, one for each clip, is ours."""

    task_name: ClassVar[str] = "video_cloze"

    encoder: str = "r3d_18"
    clips: ClipClozeSampler = field(default_factory=ClipClozeSampler)
    view: ViewConfig = field(default_factory=crop_alone)
    normalisation: NormalisationName = "zero_to_one"
    classifier_kind: ClassifierKind = "concatenated"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "classifier_kind", get_args(ClassifierKind))
