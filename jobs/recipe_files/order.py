"""Recipes of methods that tell order or what was done to it: VCOP, VCP, OPN."""

from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.train_config import TrainingConfig

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.clip_order_config import ClipOrderConfig
from rspnet_core.pretext.frame_order_config import FrameOrderConfig
from rspnet_core.pretext.video_cloze_config import VideoClozeConfig
from rspnet_core.schedules import ScheduleConfig

CONSTANT = ScheduleConfig(kind="constant")


def clip_order_r3d() -> PretrainConfig:
    """Clip order with the ten-layer R3D, three clips of 16 x 112 x 112, 300 epochs, batch 8: the published recipe.

    Xu et al., CVPR 2019. UCF101 64.9, HMDB51 29.5 after pretraining on UCF101. SGD 0.001, weight decay 5e-4, no decay
    of the rate. The published code keeps the best of its epochs by 800 training videos held out; here it is the last.
    """
    return PretrainConfig(
        recipe="clip_order_r3d",
        task=ClipOrderConfig(),
        training=TrainingConfig(num_epochs=300, global_batch_size=8),
        optimizer=OptimizerConfig(learning_rate=1e-3, base_batch_size=None, weight_decay=5e-4, schedule=CONSTANT),
    )


def video_cloze_r3d18() -> PretrainConfig:
    """Video cloze with R3D-18, three clips of 16 x 112 x 112, 200 epochs, batch 8: after unofficial code.

    Luo et al., AAAI 2020 (arXiv 2001.00294). R3D: UCF101 66.0, HMDB51 31.5 after pretraining on UCF101. SGD 0.01,
    weight decay 5e-4; the unofficial code lowers the rate when the loss stalls, here it falls as a cosine.
    """
    return PretrainConfig(
        recipe="video_cloze_r3d18",
        task=VideoClozeConfig(),
        training=TrainingConfig(num_epochs=200, global_batch_size=8),
        optimizer=OptimizerConfig(learning_rate=0.01, base_batch_size=None, weight_decay=5e-4),
    )


def frame_order_slow_r50() -> PretrainConfig:
    """Frame order with a slow R50 on single frames of 80 x 80, batch 128: in the spirit of the paper.

    Lee et al., ICCV 2017 (arXiv 1708.01246), with a CaffeNet and frames mined by motion: UCF101 59.6, HMDB51 23.8
    (VGG). SGD 0.01, weight decay 5e-4, a tenth at 130,000 and at 170,000 iterations of 200,000; the batch is ours.
    """
    return PretrainConfig(
        recipe="frame_order_slow_r50",
        task=FrameOrderConfig(),
        training=TrainingConfig(global_batch_size=128),
        optimizer=OptimizerConfig(
            learning_rate=0.01,
            base_batch_size=None,
            weight_decay=5e-4,
            schedule=ScheduleConfig(kind="steps", milestone_fractions=(0.65, 0.85)),
        ),
    )
