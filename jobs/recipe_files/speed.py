"""Recipes of methods that tell how fast a clip is shown: Pace and SpeedNet."""

from dataclasses import replace

from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.train_config import TrainingConfig

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.pace_config import PaceConfig
from rspnet_core.pretext.speednet_config import SpeedNetConfig
from rspnet_core.sampling.paces import PaceSampler
from rspnet_core.schedules import ScheduleConfig

PACE_OPTIMIZER = OptimizerConfig(
    learning_rate=1e-3, base_batch_size=None, weight_decay=5e-3, schedule=ScheduleConfig(kind="steps")
)


def pace_c3d() -> PretrainConfig:
    """Pace prediction with C3D, 16 x 112 x 112 at four paces, batch 30: the published code's recipe.

    Wang et al., ECCV 2020 (arXiv 2008.05861). SGD 0.001 (the README's; the program's default is 0.01), weight decay
    0.005, a tenth after each third of the run. 18 epochs, each of which goes through its list ten times: 180 of ours.
    The contrastive branch of the paper was never published: `--task.contrast-weight 0.1 --task.clips.num-clips 2`.
    """
    return PretrainConfig(
        recipe="pace_c3d",
        task=PaceConfig(),
        training=TrainingConfig(num_epochs=180, global_batch_size=30),
        optimizer=PACE_OPTIMIZER,
    )


def pace_s3dg() -> PretrainConfig:
    """Pace prediction with S3D-G, 64 x 224 x 224 at four paces, batch 32: the published code's recipe.

    Wang et al., ECCV 2020: UCF101 87.1, HMDB51 52.6 after pretraining on UCF101 (from memory). All else as `pace_c3d`.
    Ingest with a short side of 256.
    """
    task = PaceConfig(encoder="s3dg", clips=PaceSampler(num_frames_per_clip=64))
    # 224 x 224 of 256 x 256.
    view = replace(task.view, crop_size=224, crop_area_fraction=(0.766, 0.766), crop_aspect_ratio=(1.0, 1.0))
    return PretrainConfig(
        recipe="pace_s3dg",
        task=replace(task, view=view),
        training=TrainingConfig(num_epochs=180, global_batch_size=32),
        optimizer=PACE_OPTIMIZER,
    )


def speednet_s3dg() -> PretrainConfig:
    """SpeedNet with S3D-G without temporal strides, 64 frames: there is no published code, the optimizer is ours.

    Benaim et al., CVPR 2020 (arXiv 2004.06130). Kinetics-400: UCF101 81.1, HMDB51 48.8 after fine-tuning; UCF101
    retrieval top-1 13.0, which is less than a random R3D-18 finds.
    """
    return PretrainConfig(
        recipe="speednet_s3dg",
        task=SpeedNetConfig(),
        training=TrainingConfig(global_batch_size=64),
        optimizer=OptimizerConfig(learning_rate=0.01, base_batch_size=64),
    )
