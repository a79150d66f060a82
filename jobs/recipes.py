"""Pretraining recipes by name. Each is a function that returns a complete config; its docstring names its source.

The first line of a docstring is what `python jobs/pretrain.py --help` shows.
"""

from collections.abc import Callable

from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.train_config import ScalingOptions, TrainingConfig

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.views import ViewConfig
from rspnet_core.schedules import ScheduleConfig


def tiny_cpu() -> PretrainConfig:
    """RSPNet with a tiny encoder: minutes on two CPU cores, for the embedded data set and first tries on your own.

    Clips of 8 frames at 64 x 64; a queue smaller than the data set; momentum and learning rate for hundreds of steps
    in place of a hundred thousand. The numbers are ours, chosen on the embedded data set: with instance
    discrimination at full weight so small an encoder does not learn to tell speeds apart in that time.
    """
    return PretrainConfig(
        recipe="tiny_cpu",
        task=RSPNetConfig(
            encoder="tiny",
            clips=SpeedPairSampler(num_frames_per_clip=8),
            view=ViewConfig(crop_size=64),
            instance_weight=0.1,
            queue_size=128,
            key_momentum=0.99,
        ),
        training=TrainingConfig(
            num_epochs=60, global_batch_size=32, checkpoint_every_num_steps=50, log_every_num_steps=5
        ),
        optimizer=OptimizerConfig(
            learning_rate=0.05, base_batch_size=32, schedule=ScheduleConfig(warmup_fraction=0.05)
        ),
    )


def rspnet_r3d18() -> PretrainConfig:
    """RSPNet with R3D-18, 16 x 112 x 112, 200 epochs, batch 256 over 4 GPUs: the published recipe.

    Chen et al., AAAI 2021 (arXiv 2011.07949), Kinetics-400: UCF101 74.3, HMDB51 41.8 after fine-tuning; UCF101
    retrieval top-1 41.1. SGD 0.1 for 64 videos, scaled by the batch, cosine to a thousandth, weight decay 1e-4, no
    warm-up, fp32. Queue 16,384, temperature 0.07, key momentum 0.999, linear heads of 128. bf16
    (`--training.precision bf16`) is not the paper's.
    """
    return PretrainConfig(
        recipe="rspnet_r3d18",
        task=RSPNetConfig(),
        training=TrainingConfig(),
        optimizer=OptimizerConfig(),
        scaling=ScalingOptions(num_workers="4"),
    )


RECIPES: dict[str, Callable[[], PretrainConfig]] = {
    "tiny_cpu": tiny_cpu,
    "rspnet_r3d18": rspnet_r3d18,
}
DEFAULT_RECIPE = "tiny_cpu"
