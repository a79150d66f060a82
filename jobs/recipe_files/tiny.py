"""Each method with a tiny encoder: minutes on two CPU cores, for the embedded data set and first tries on your own.

Clips of 8 frames at 64 x 64 (less where the method wants it so), a budget of hundreds of steps. The numbers are ours:
they make the method run and learn something, and compare methods under one budget; they are nobody's published ones.
"""

from dataclasses import replace

from rspnet_platform.config import PretrainConfig
from rspnet_platform.train.train_config import ScalingOptions, TrainingConfig

from rspnet_core.optimizer_config import OptimizerConfig
from rspnet_core.pretext.appearance_instance_config import AppearanceInstanceConfig
from rspnet_core.pretext.clip_order_config import ClipOrderConfig
from rspnet_core.pretext.cvrl_config import CVRLConfig
from rspnet_core.pretext.frame_order_config import FrameOrderConfig
from rspnet_core.pretext.moco_config import MoCoConfig
from rspnet_core.pretext.pace_config import PaceConfig
from rspnet_core.pretext.relative_speed_config import RelativeSpeedConfig
from rspnet_core.pretext.rspnet_config import RSPNetConfig
from rspnet_core.pretext.simclr_config import SimCLRConfig
from rspnet_core.pretext.speednet_config import SpeedNetConfig
from rspnet_core.pretext.task_config import TaskConfig
from rspnet_core.pretext.video_cloze_config import VideoClozeConfig
from rspnet_core.sampling.clip_cloze import ClipClozeSampler
from rspnet_core.sampling.clip_orders import ClipOrderSampler
from rspnet_core.sampling.independent_clips import IndependentClipSampler
from rspnet_core.sampling.paces import PaceSampler
from rspnet_core.sampling.speed_classes import SpeedClassSampler
from rspnet_core.sampling.speed_lists import SpeedListSampler
from rspnet_core.sampling.speed_pairs import SpeedPairSampler
from rspnet_core.sampling.temporal_intervals import TemporalIntervalSampler
from rspnet_core.sampling.views import ViewConfig
from rspnet_core.schedules import ScheduleConfig

OPTIMIZER = OptimizerConfig(learning_rate=0.05, base_batch_size=32, schedule=ScheduleConfig(warmup_fraction=0.05))


def tiny(recipe: str, task: TaskConfig, optimizer: OptimizerConfig = OPTIMIZER) -> PretrainConfig:
    """The budget that all of them share, and their place: the job's own process, on the machine that it is started on.
    `--scaling.num-workers 1`, or more, trains in workers of Ray Train, which are started anew when one dies."""
    return PretrainConfig(
        recipe=recipe,
        task=task,
        training=TrainingConfig(
            num_epochs=60, global_batch_size=32, checkpoint_every_num_steps=50, log_every_num_steps=5
        ),
        optimizer=optimizer,
        scaling=ScalingOptions(num_workers="0"),
    )


def small(view: ViewConfig) -> ViewConfig:
    """The method's own augmentation at 64 x 64, blurred in proportion, but for colours that change by a fifth, and hues
    by a tenth of a turn, at most.

    Published strengths (hue by 0.4 turns) leave so small an encoder nothing to tell videos by within hundreds of steps:
    the loss of instance discrimination rises towards that of chance.
    """
    gentle = {name: min(getattr(view, name), 0.2) for name in ("brightness", "contrast", "saturation")}
    low, high = (sigma * 64 / view.crop_size for sigma in view.blur_sigma)
    return replace(view, crop_size=64, hue=min(view.hue, 0.1), blur_sigma=(low, high), **gentle)


def tiny_cpu() -> PretrainConfig:
    """RSPNet with a tiny encoder: minutes on two CPU cores, for the embedded data set and first tries on your own.

    A queue smaller than the data set; momentum and learning rate for hundreds of steps in place of a hundred thousand.
    The numbers are ours, chosen on the embedded data set: with instance discrimination at full weight so small an
    encoder does not learn to tell speeds apart in that time.
    """
    return tiny(
        "tiny_cpu",
        RSPNetConfig(
            encoder="tiny",
            clips=SpeedPairSampler(num_frames_per_clip=8),
            view=small(ViewConfig()),
            instance_weight=0.1,
            queue_size=128,
            key_momentum=0.99,
        ),
    )


def tiny_relative_speed() -> PretrainConfig:
    """RSP alone with a tiny encoder."""
    return tiny(
        "tiny_relative_speed",
        RelativeSpeedConfig(
            encoder="tiny",
            clips=SpeedListSampler(num_frames_per_clip=8, playback_speeds=(1, 2)),
            view=small(ViewConfig()),
            key_momentum=0.99,
        ),
    )


def tiny_speed_list() -> PretrainConfig:
    """RSP of four speeds in order with a tiny encoder: an extension of ours."""
    return tiny(
        "tiny_speed_list",
        RelativeSpeedConfig(
            encoder="tiny",
            clips=SpeedListSampler(num_frames_per_clip=8, playback_speeds=(1, 2, 3, 4)),
            view=small(ViewConfig()),
            key_momentum=0.99,
        ),
    )


def tiny_appearance_instance() -> PretrainConfig:
    """A-VID alone with a tiny encoder."""
    return tiny(
        "tiny_appearance_instance",
        AppearanceInstanceConfig(
            encoder="tiny",
            clips=SpeedPairSampler(num_frames_per_clip=8),
            view=small(ViewConfig()),
            queue_size=128,
            key_momentum=0.99,
        ),
    )


def tiny_cvrl() -> PretrainConfig:
    """CVRL with a tiny encoder, without synchronised batch norm."""
    task = CVRLConfig(
        encoder="tiny",
        clips=TemporalIntervalSampler(num_frames_per_clip=8),
        sync_batch_norm=False,
        min_global_batch_size=8,
    )
    return tiny("tiny_cvrl", replace(task, view=small(task.view), second_view=small(task.second_view)))


def tiny_moco() -> PretrainConfig:
    """MoCo between two clips of a video with a tiny encoder."""
    task = MoCoConfig(
        encoder="tiny",
        clips=IndependentClipSampler(num_frames_per_clip=8, frame_stride=2),
        queue_size=128,
        key_momentum=0.99,
    )
    return tiny("tiny_moco", replace(task, view=small(task.view)))


def tiny_simclr() -> PretrainConfig:
    """SimCLR between two clips of a video with a tiny encoder, without synchronised batch norm."""
    task = SimCLRConfig(
        encoder="tiny",
        clips=IndependentClipSampler(num_frames_per_clip=8, frame_stride=2),
        sync_batch_norm=False,
        min_global_batch_size=8,
    )
    return tiny("tiny_simclr", replace(task, view=small(task.view)))


def tiny_pace() -> PretrainConfig:
    """Pace prediction with a tiny encoder."""
    task = PaceConfig(encoder="tiny", clips=PaceSampler(num_frames_per_clip=8))
    return tiny("tiny_pace", replace(task, view=small(task.view)))


def tiny_speednet() -> PretrainConfig:
    """SpeedNet with a tiny encoder, clips of 16 frames."""
    task = SpeedNetConfig(encoder="tiny", clips=SpeedClassSampler(num_frames_per_clip=16))
    return tiny("tiny_speednet", replace(task, view=small(task.view)))


def tiny_clip_order() -> PretrainConfig:
    """Clip order with a tiny encoder: clips of 8 frames, 4 frames apart, closer in short videos."""
    clips = ClipOrderSampler(num_frames_per_clip=8, num_frames_between=4, too_short="squeeze")
    task = ClipOrderConfig(encoder="tiny", clips=clips)
    return tiny("tiny_clip_order", replace(task, view=small(task.view)))


def tiny_video_cloze() -> PretrainConfig:
    """Video cloze with a tiny encoder: clips of 8 frames, 4 frames apart, closer in short videos."""
    clips = ClipClozeSampler(num_frames_per_clip=8, num_frames_between=4, min_remote_distance=4, too_short="squeeze")
    task = VideoClozeConfig(encoder="tiny", clips=clips)
    return tiny("tiny_video_cloze", replace(task, view=small(task.view)))


def tiny_frame_order() -> PretrainConfig:
    """Frame order with a tiny encoder: four frames, 2 to 8 apart."""
    task = FrameOrderConfig(encoder="tiny")
    clips = replace(task.clips, min_frame_spacing=2, max_frame_spacing=8)
    return tiny("tiny_frame_order", replace(task, clips=clips, view=small(task.view)))
