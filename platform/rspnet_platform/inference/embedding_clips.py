"""What of a video an embedding sees: clips, and squares of each of them."""

from dataclasses import dataclass, replace

import numpy as np

from rspnet_core.recognition.square_crops import NumCrops, square_crops
from rspnet_core.sampling.clip_plan import ClipPlan, ClipSampler, VideoInfo
from rspnet_platform.inference.encoder_card import EncoderCard, EncoderInput
from rspnet_platform.shards.description import DatasetDescription
from rspnet_platform.stream.clip_decoding import SampleRecipe
from rspnet_platform.stream.data_config import Decoder
from rspnet_platform.stream.frame_readers import frame_reader

METHODS_WITHOUT_SHORT_SIDE = ("random", "published")
"""Their cards cannot know what an encoder is used to: they take the data set's short side."""


@dataclass(frozen=True, kw_only=True)
class EachClipInEachCrop:
    """The clips of `sampler`, all in the first crop, then all in the next: the augmentation group is the crop."""

    sampler: ClipSampler
    num_crops: int

    @property
    def num_clips(self) -> int:
        return self.sampler.num_clips * self.num_crops

    @property
    def num_frames_per_clip(self) -> int:
        return self.sampler.num_frames_per_clip

    def plan(self, video: VideoInfo, generator: np.random.Generator) -> ClipPlan:
        clips = self.sampler.plan(video, generator).clips
        return ClipPlan(
            clips=tuple(replace(clip, augmentation_group=crop) for crop in range(self.num_crops) for clip in clips)
        )


def embedding_recipe(
    encoder_input: EncoderInput,
    description: DatasetDescription,
    *,
    num_crops: NumCrops = 1,
    decoder: Decoder | None = None,
) -> SampleRecipe:
    """Raises ValueError for a decoder that the data set's profile does not have."""
    return SampleRecipe(
        sampler=EachClipInEachCrop(sampler=encoder_input.sampler, num_crops=num_crops),
        views=square_crops(num_crops, encoder_input.crop_size),
        seed=0,
        reader=frame_reader(description, decoder),
    )


def input_for(card: EncoderCard, description: DatasetDescription, *, num_clips: int | None = None) -> EncoderInput:
    """The card's input, for this data set. Raises ValueError where its videos are of another short side than the
    encoder was trained on: in its clips everything would be of another size."""
    encoder_input = replace(card.input, num_clips=num_clips or card.input.num_clips)
    if card.method in METHODS_WITHOUT_SHORT_SIDE:
        return replace(encoder_input, short_side=description.short_side)
    if encoder_input.short_side != description.short_side:
        raise ValueError(
            f"the data set's short side is {description.short_side}, and the encoder was trained on videos of "
            f"{encoder_input.short_side}; accepted is a data set made with jobs/ingest.py --short-side "
            f"{encoder_input.short_side}"
        )
    return encoder_input
