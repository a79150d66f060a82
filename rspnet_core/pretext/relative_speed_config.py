"""RSP's choices; see `relative_speed`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from rspnet_core.encoders.head_kinds import HEAD_KINDS, HeadKind
from rspnet_core.pretext.task_config import TaskConfig, check_choice, check_not_negative, check_positive
from rspnet_core.sampling.speed_lists import SpeedListSampler

KeyNetwork = Literal["momentum", "trained"]


@dataclass(frozen=True, kw_only=True)
class RelativeSpeedConfig(TaskConfig):
    """`ranking_margin`, in cosine units, is for one doubling of speed; `ranking_weight` stands outside the hinge (see
    RSPNetConfig for both). `key_network`: the published code's keys come from momentum copies; "trained" passes the
    gradient through keys too, as a plain triplet loss does. `shuffle_batch_norm` is of momentum copies alone.
    """

    task_name: ClassVar[str] = "relative_speed"

    clips: SpeedListSampler = field(default_factory=lambda: SpeedListSampler(playback_speeds=(1, 2)))
    embedding_dim: int = 128
    head: HeadKind = "linear"
    ranking_margin: float = 0.14
    ranking_weight: float = 1 / 0.07
    key_network: KeyNetwork = "momentum"
    key_momentum: float = 0.999
    shuffle_batch_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "embedding_dim", "ranking_weight")
        check_not_negative(self, "ranking_margin")
        check_choice(self, "head", HEAD_KINDS)
        check_choice(self, "key_network", get_args(KeyNetwork))
        if not 0 <= self.key_momentum <= 1:
            raise ValueError(f"key_momentum is {self.key_momentum}; accepted are 0 to 1")
