"""What an encoder is shown after its training, and what it was shown in it."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from rspnet_platform.config import PretrainConfig
from rspnet_platform.inference.encoder_input_of_run import encoder_input_of_run
from rspnet_platform.inference.evaluation_config import EvaluationConfig
from rspnet_platform.train.checkpoints import checkpoint_config

from jobs.recipes import RECIPES
from rspnet_core.random_streams import random_stream
from rspnet_core.sampling.clip_plan import VideoInfo

LONG = VideoInfo(video_index=0, num_frames=3000, frames_per_second=30.0, height=256, width=340)


def recipe(name: str) -> PretrainConfig:
    return cast(PretrainConfig, RECIPES[name]())


def trained_strides(config: PretrainConfig) -> set[int]:
    """Of clips as the sampler draws them for a video."""
    sampler: Any = config.task.clips
    clips = [clip for epoch in range(20) for clip in sampler.plan(LONG, random_stream(0, epoch, 0, "clips")).clips]
    return {int(step) for clip in clips for step in np.diff(clip.frame_indices)}


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_evaluated_on_clips_as_it_is_trained(name: str) -> None:
    """Frames, stride, size and normalization. Where it is trained at several speeds, or on frames in another order, the
    video's own speed is one of them."""
    config = recipe(name)
    shown, task = encoder_input_of_run(checkpoint_config(config), 128), config.task
    strides = trained_strides(config)
    if len(strides) == 1:
        assert {shown.frame_stride} == strides
    elif task.clips.num_frames_per_clip > 1:
        assert shown.frame_stride == 1
        assert 1 in strides
    assert shown.num_frames_per_clip == task.clips.num_frames_per_clip
    assert (shown.crop_size, shown.normalisation) == (task.view.crop_size, task.normalisation)


@pytest.mark.parametrize(
    ("name", "stride"),
    [("cvrl_r3d50", 2), ("moco_slow_r50", 8), ("simclr_slow_r50", 8), ("tiny_cvrl", 2), ("rspnet_r3d18", 1)],
)
def test_strides_of_published_recipes(name: str, stride: int) -> None:
    """By hand; what is asked for on the command line wins, and an old checkpoint without the key is read as 1."""
    config = recipe(name)
    assert encoder_input_of_run(checkpoint_config(config), 128).frame_stride == stride
    asked = replace(config, evaluation=EvaluationConfig(frame_stride=3))
    assert encoder_input_of_run(checkpoint_config(asked), 128).frame_stride == 3
    old = {key: value for key, value in checkpoint_config(config).items() if not key.endswith("frame_stride")}
    assert encoder_input_of_run(old, 128).frame_stride == 1


def test_a_stride_below_one_is_refused() -> None:
    """It is named, and none means that of the training."""
    with pytest.raises(ValueError, match="frame_stride is 0; accepted are whole numbers from 1 on"):
        EvaluationConfig(frame_stride=0)
