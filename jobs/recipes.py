"""Pretraining recipes by name. Each is a function that returns a complete config; its docstring names its source.

The first line of a docstring is what `python jobs/pretrain.py --help` shows. Where a method's papers and code leave a
number open, the docstring says so; symbols and deviations are in `rspnet_core/pretext/`.
"""

from collections.abc import Callable

from rspnet_platform.config import PretrainConfig

from jobs.recipe_files.contrast import cvrl_r3d50, moco_slow_r50, simclr_slow_r50
from jobs.recipe_files.order import clip_order_r3d, frame_order_slow_r50, video_cloze_r3d18
from jobs.recipe_files.rspnet import (
    appearance_instance_r3d18,
    relative_speed_r3d18,
    rspnet_c3d,
    rspnet_r2plus1d,
    rspnet_r3d18,
    rspnet_s3dg,
)
from jobs.recipe_files.speed import pace_c3d, pace_s3dg, speednet_s3dg
from jobs.recipe_files.tiny import (
    tiny_appearance_instance,
    tiny_clip_order,
    tiny_cpu,
    tiny_cvrl,
    tiny_frame_order,
    tiny_moco,
    tiny_pace,
    tiny_relative_speed,
    tiny_simclr,
    tiny_speed_list,
    tiny_speednet,
    tiny_video_cloze,
)

RECIPES: dict[str, Callable[[], PretrainConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        tiny_cpu,
        rspnet_r3d18,
        rspnet_c3d,
        rspnet_r2plus1d,
        rspnet_s3dg,
        relative_speed_r3d18,
        appearance_instance_r3d18,
        cvrl_r3d50,
        moco_slow_r50,
        simclr_slow_r50,
        pace_c3d,
        pace_s3dg,
        speednet_s3dg,
        clip_order_r3d,
        video_cloze_r3d18,
        frame_order_slow_r50,
        tiny_relative_speed,
        tiny_speed_list,
        tiny_appearance_instance,
        tiny_cvrl,
        tiny_moco,
        tiny_simclr,
        tiny_pace,
        tiny_speednet,
        tiny_clip_order,
        tiny_video_cloze,
        tiny_frame_order,
    )
}
DEFAULT_RECIPE = "tiny_cpu"
