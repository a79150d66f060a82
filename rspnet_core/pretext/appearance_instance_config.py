"""A-VID's choices; see `appearance_instance`. Imports no torch: `--help` reads it."""

from dataclasses import dataclass, field
from typing import ClassVar, get_args

from rspnet_core.pretext.momentum_contrast_config import MomentumContrastConfig
from rspnet_core.pretext.rspnet_config import EnqueuedKeys, InstancePositives
from rspnet_core.pretext.task_config import check_choice
from rspnet_core.sampling.speed_pairs import SpeedPairSampler


@dataclass(frozen=True, kw_only=True)
class AppearanceInstanceConfig(MomentumContrastConfig):
    """`instance_positives`, `enqueued_keys`: see RSPNetConfig."""

    task_name: ClassVar[str] = "appearance_instance"

    clips: SpeedPairSampler = field(default_factory=SpeedPairSampler)
    instance_positives: InstancePositives = "both"
    enqueued_keys: EnqueuedKeys = "other_speed"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice(self, "instance_positives", get_args(InstancePositives))
        check_choice(self, "enqueued_keys", get_args(EnqueuedKeys))
