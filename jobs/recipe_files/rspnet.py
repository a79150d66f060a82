"""RSPNet's recipes, and each of its two tasks alone. Chen et al., AAAI 2021 (arXiv 2011.07949)."""

from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.train_config import ScalingOptions, TrainingConfig

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.appearance_instance_config import AppearanceInstanceConfig
from rspnet_core.pretext.relative_speed_config import RelativeSpeedConfig
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.sampling.views import ViewConfig


def rspnet_r3d18() -> PretrainConfig:
    """RSPNet with R3D-18, 16 x 112 x 112, 200 epochs, batch 256 over 4 GPUs: the published recipe.

    Kinetics-400: UCF101 74.3, HMDB51 41.8 after fine-tuning; UCF101 retrieval top-1 41.1. SGD 0.1 for 64 videos, scaled
    by the batch, cosine to a thousandth, weight decay 1e-4, no warm-up, fp32. Queue 16,384, temperature 0.07, key
    momentum 0.999, linear heads of 128. bf16 (`--training.precision bf16`) is not the paper's.
    """
    return PretrainConfig(
        recipe="rspnet_r3d18",
        task=RSPNetConfig(),
        training=TrainingConfig(),
        optimizer=OptimizerConfig(),
        scaling=ScalingOptions(num_workers="4"),
    )


def rspnet_c3d() -> PretrainConfig:
    """RSPNet with C3D, 16 x 112 x 112, 200 epochs, batch 128 over 4 GPUs: the published recipe.

    Kinetics-400: UCF101 76.7, HMDB51 44.6 after fine-tuning; UCF101 retrieval top-1 36.0. All else as `rspnet_r3d18`.
    """
    return PretrainConfig(
        recipe="rspnet_c3d",
        task=RSPNetConfig(encoder="c3d"),
        training=TrainingConfig(global_batch_size=128),
        scaling=ScalingOptions(num_workers="4"),
    )


def rspnet_r2plus1d() -> PretrainConfig:
    """RSPNet with the ten-layer R(2+1)D, 16 x 112 x 112, 200 epochs, batch 128 over 4 GPUs: the published recipe.

    Kinetics-400: UCF101 81.1, HMDB51 44.6 after fine-tuning. Rate 0.05 for 64 videos; all else as `rspnet_r3d18`.
    """
    return PretrainConfig(
        recipe="rspnet_r2plus1d",
        task=RSPNetConfig(encoder="r2plus1d_10"),
        training=TrainingConfig(global_batch_size=128),
        optimizer=OptimizerConfig(learning_rate=0.05),
        scaling=ScalingOptions(num_workers="4"),
    )


def rspnet_s3dg() -> PretrainConfig:
    """RSPNet with S3D-G, 16 x 224 x 224, 200 epochs, batch 256 over 4 GPUs: the published recipe.

    Kinetics-400: UCF101 89.9, HMDB51 59.6 after fine-tuning, and 93.7, 64.7 after 1,000 epochs. Rate 0.05 for 64
    videos; all else as `rspnet_r3d18`. The published network drops every second frame and has 20 of the gates:
    `--task.encoder s3dg_rspnet` is that one. Ingest with a short side of 224 or more.
    """
    return PretrainConfig(
        recipe="rspnet_s3dg",
        task=RSPNetConfig(encoder="s3dg", view=ViewConfig(crop_size=224)),
        optimizer=OptimizerConfig(learning_rate=0.05),
        scaling=ScalingOptions(num_workers="4"),
    )


def relative_speed_r3d18() -> PretrainConfig:
    """RSP alone with R3D-18: what RSPNet learns of speed without instance discrimination.

    The settings are `rspnet_r3d18`'s. No number of the paper's ablation could be verified.
    """
    return PretrainConfig(
        recipe="relative_speed_r3d18",
        task=RelativeSpeedConfig(),
        scaling=ScalingOptions(num_workers="4"),
    )


def appearance_instance_r3d18() -> PretrainConfig:
    """A-VID alone with R3D-18: what RSPNet learns of appearance without ranking speeds.

    The settings are `rspnet_r3d18`'s. No number of the paper's ablation could be verified.
    """
    return PretrainConfig(
        recipe="appearance_instance_r3d18",
        task=AppearanceInstanceConfig(),
        scaling=ScalingOptions(num_workers="4"),
    )
