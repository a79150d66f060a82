"""RSPNet's choices. Where the paper and its published code differ, the choice is a field with its reason."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from rspnet_core.encoders.head_kinds import HeadKind
from rspnet_core.pretext.task_config import TaskConfig, check_choice, check_not_negative, check_positive
from rspnet_core.sampling.speed_pairs import SpeedPairSampler

InstancePositives = Literal["both", "other_speed", "same_speed"]
EnqueuedKeys = Literal["other_speed", "same_speed"]


@dataclass(frozen=True, kw_only=True)
class RSPNetConfig(TaskConfig):
    """Relative speed perception and appearance-focused video instance discrimination on one encoder.

    `ranking_margin` is in cosine units and `ranking_weight` stands outside the hinge, so that neither depends
    on `temperature` (paper, Fig. 2: no tau in L_m). The published code ranks cosines divided by T = 0.07 with
    margin 2.0, which is the same as margin 0.14 with weight 1/0.07 = 14.3: that is the default.

    `instance_positives`: the paper's A-VID has one positive, a key of another speed ("other_speed"); the
    published code sums the losses of both keys ("both", the default: the published numbers come from it).

    `enqueued_keys`: the published code enqueues the other-speed key alone.

    `mask_same_video`: a queue that holds older keys of the query's own video holds false negatives; they are
    left out of the denominator. The published code does not mask (its queue, 16,384, exceeds UCF101's 9,537
    videos). Without masking, a queue as large as the data set is refused.

    `shuffle_batch_norm`: the key encoder sees a batch permuted over all ranks, so that batch statistics do
    not tell which key belongs to which query (MoCo). Without effect on one worker.
    """

    task_name: ClassVar[str] = "rspnet"

    clips: SpeedPairSampler = field(default_factory=SpeedPairSampler)
    embedding_dim: int = 128
    head: HeadKind = "linear"
    temperature: float = 0.07
    ranking_margin: float = 0.14
    ranking_weight: float = 1 / 0.07
    instance_weight: float = 1.0
    instance_positives: InstancePositives = "both"
    enqueued_keys: EnqueuedKeys = "other_speed"
    queue_size: int = 16384
    mask_same_video: bool = True
    key_momentum: float = 0.999
    shuffle_batch_norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "temperature", "embedding_dim", "queue_size")
        check_not_negative(self, "ranking_margin", "ranking_weight", "instance_weight")
        if self.ranking_margin > 2:
            raise ValueError(f"ranking_margin is {self.ranking_margin}; cosines differ by 2 at the most")
        if self.ranking_weight == 0 and self.instance_weight == 0:
            raise ValueError("ranking_weight and instance_weight are both 0: nothing would be learnt")
        if not 0 <= self.key_momentum <= 1:
            raise ValueError(f"key_momentum is {self.key_momentum}; accepted are 0 to 1")
        for name, accepted in (
            ("instance_positives", InstancePositives),
            ("enqueued_keys", EnqueuedKeys),
            ("head", HeadKind),
        ):
            check_choice(self, name, get_args(accepted))
