"""How an encoder that a run has trained is shown a whole video; costs no torch."""

from collections.abc import Mapping
from typing import Any

from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS
from rspnet_platform.inference.encoder_card import EncoderInput
from rspnet_platform.inference.evaluation_config import EvaluationConfig


def encoder_input_of_run(config: Mapping[str, Any], short_side: int) -> EncoderInput:
    """The clips that it was trained on, evenly spaced, and pooled as its evaluation asks for.

    `config` is the run's by dotted keys, as its checkpoints hold it; `short_side` is its data set's. Raises ValueError
    for a key that is missing or refused.
    """
    default = EvaluationConfig()
    name = config.get("evaluation.protocol", default.protocol)
    if name not in RETRIEVAL_PROTOCOLS:
        raise ValueError(f"evaluation.protocol is {name!r}; accepted are {', '.join(RETRIEVAL_PROTOCOLS)}")
    return EncoderInput(
        num_frames_per_clip=value_of(config, "task.clips.num_frames_per_clip"),
        frame_stride=config.get("evaluation.frame_stride") or trained_frame_stride(config),
        crop_size=value_of(config, "task.view.crop_size"),
        short_side=short_side,
        num_clips=RETRIEVAL_PROTOCOLS[name].num_clips,
        pooling=RETRIEVAL_PROTOCOLS[name].pooling,
        normalisation=value_of(config, "task.normalisation"),
    )


def trained_frame_stride(config: Mapping[str, Any]) -> int:
    """That of the sampler's clips; 1 for samplers that play videos at several speeds, of which 1 is the video's own."""
    return config.get("task.clips.frame_stride", 1)


def value_of(config: Mapping[str, Any], key: str) -> Any:
    """Raises ValueError that names the key, where it is missing."""
    if key not in config:
        raise ValueError(f"the config lacks {key}; accepted is that of a checkpoint, with all of its keys")
    return config[key]
